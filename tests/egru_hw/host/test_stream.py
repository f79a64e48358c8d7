"""Live data: a step at a time."""

from contextlib import closing

import numpy as np
import pytest

from egru_hw.contract.config import preset
from egru_hw.host.device import Device
from sim.backends.amaranth_simulator import AmaranthTransport
from sim.random_models import random_inputs, random_model
from sim.stimulus import Stimulus
from tests.helpers.streams import generator

TINY = preset("tiny")


@pytest.fixture
def device():
    with closing(AmaranthTransport(TINY, Stimulus())) as transport:
        yield Device(transport)


def session():
    rng = generator(5)
    return random_model(rng, 3, (5, 4), 2, threshold=2000), random_inputs(rng, 1, 8, 3)[0]


def follow(stream, model, inputs) -> None:
    """Each step is that of the integer model, and so is the state after it."""
    state = None
    fired = 0
    for x in inputs:
        expected = model.run(x[None, None], state)
        state = expected.state
        found = stream.step(x)
        for layer, events in enumerate(found.events):
            assert (events == expected.events[layer][0, 0]).all()
            fired += np.count_nonzero(events)
        assert (found.outputs == expected.outputs[0]).all()
        for (_, h), read in zip(state, stream.state(), strict=True):
            assert (read == h[0]).all()
    assert fired


def test_a_stream_keeps_its_state_from_step_to_step(device):
    model, inputs = session()
    device.load(model)
    stream = device.stream()
    assert not any(h.any() for h in stream.state())
    follow(stream, model, inputs)


def test_a_stream_can_begin_again_and_follow_a_run(device):
    model, inputs = session()
    device.load(model)
    device.run(inputs[None], events=False)
    stream = device.stream()
    follow(stream, model, inputs)
    stream.reset()
    assert not any(h.any() for h in stream.state())
    follow(stream, model, inputs)


def test_asking_for_the_counters_leaves_a_stream_as_it_is(device):
    model, inputs = session()
    device.load(model)
    stream = device.stream()
    expected = model.run(inputs[None]).events[0][0]
    for x, events in zip(inputs, expected, strict=True):
        assert (stream.step(x).events[0] == events).all()
        device.info()


@pytest.mark.parametrize("use", ["run", "load", "stream"])
def test_a_stream_ends_when_the_device_does_something_else(device, use):
    model, inputs = session()
    device.load(model)
    stream = device.stream()
    stream.step(inputs[0])
    if use == "run":
        device.run(inputs[None])
    elif use == "load":
        device.load(random_model(generator(2), 3, (5,), 1))
    else:
        device.stream()
    for method in (lambda: stream.step(inputs[0]), stream.reset, stream.state):
        with pytest.raises(RuntimeError, match="has begun something else"):
            method()


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (np.zeros(4), "shape"),
        (np.zeros((1, 3)), "shape"),
        ([np.nan, 0, 0], "finite"),
        ([0, 300, 0], "must lie in -256"),
    ],
)
def test_inputs_of_no_step_are_refused(device, inputs, words):
    device.load(session()[0])
    with pytest.raises(ValueError, match=words):
        device.stream().step(inputs)
