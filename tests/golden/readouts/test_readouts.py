"""Read-out kinds, from the float network to the hardware."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import sim
from egru_hw.contract.config import preset
from golden import Network, QuantizedNetwork, quantize
from golden.readouts import READOUTS, readout_kind
from sim.random_models import random_inputs, random_model
from tests.helpers.streams import generator

KINDS = [*READOUTS]


def model_of(rng, kind: str, **knobs):
    model = random_model(
        rng, 2, **({"hidden_sizes": (5, 4), "outputs": 3, "threshold": 2000} | knobs)
    )
    return replace(model, readout=replace(model.readout, kind=READOUTS[kind]))


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_hardware_equals_the_integer_model_with_every_kind(kind, stall):
    rng = generator(1)
    model = model_of(rng, kind)
    inputs = random_inputs(rng, 3, 6, 2)
    simulation = sim.run(
        model, inputs, config=preset("tiny"), backend="amaranth", stall=stall, seed=2
    )
    assert simulation.comparison.mismatches == 0
    shape = (3, 6, 3) if model.readout_kind.per_step else (3, 3)
    assert simulation.hardware.outputs.shape == shape
    assert simulation.hardware.outputs.any()


CORNERS = {
    "one unit": {"hidden_sizes": (1,), "outputs": 1},
    "no events": {"drive": "silent", "threshold": None},
    "an event of every unit in every step": {"drive": "firing", "threshold": None},
    "saturation": {"drive": "saturating", "hidden_sizes": (4,), "density": 0.5},
}


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("kind", KINDS)
def test_hardware_equals_the_integer_model_at_the_corners_under_stalls(kind, corner, steps):
    rng = generator(5)
    model = model_of(rng, kind, **CORNERS[corner])
    inputs = random_inputs(rng, 2, steps, 2)
    simulation = sim.run(
        model, inputs, config=preset("tiny"), backend="amaranth", stall=0.4, seed=steps
    )
    assert simulation.comparison.mismatches == 0
    events = simulation.golden.events
    assert any(y.any() for y in events) == (corner != "no events")


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_outputs_are_the_linear_map_of_what_each_kind_reads(steps):
    """Independently of reads and spans: weights times events, step by step."""
    rng = generator(6)
    for kind in KINDS:
        model = model_of(rng, kind)
        result = model.run(random_inputs(rng, 4, steps, 2))
        readout, events = model.readout, result.events[-1]
        of_steps = events @ readout.weight.T + readout.bias * readout.bias_operand
        expected = {"mean": of_steps.sum(1), "steps": of_steps, "last": of_steps[:, -1]}[kind]
        assert np.array_equal(result.outputs, expected), kind


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_of_reads_sum_up_to_those_of_the_whole_sequence(kind):
    rng = generator(2)
    model = model_of(rng, kind)
    inputs = random_inputs(rng, 4, 7, 2)
    events = model.run(inputs).events[-1]
    sums = model.readout.sums(events)
    assert sums.shape == (4, len(model.readout_kind.reads(7)), 3)
    assert np.array_equal(sums.sum(1), model_of(generator(2), "mean").run(inputs).outputs)
    assert sum(model.readout_kind.spans(7)) == 7


@pytest.mark.parametrize("kind", KINDS)
def test_float_quantised_and_integer_networks_take_every_kind(kind):
    torch.manual_seed(3)
    network = Network(2, 6, 3, readout=kind)
    x = generator(3).normal(size=(5, 4, 2)).astype(np.float32)
    with torch.no_grad():
        logits = network(torch.from_numpy(x)).numpy()
    integer = quantize(network, x)
    found = integer.logits(integer.run(integer.quantize_inputs(x)).outputs, 4)
    assert found.shape == logits.shape
    assert np.abs(found - logits).max() < 0.1 * max(1.0, np.abs(logits).max())
    quantized = QuantizedNetwork(network, x)
    with torch.no_grad():
        trained = quantized(torch.from_numpy(x)).numpy()
    expected = quantized.integer()
    raw = expected.quantize_inputs(x)
    assert np.array_equal(trained, expected.logits(expected.run(raw).outputs, 4).astype(np.float32))


def test_a_kind_that_is_not_there_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"must be 'mean' or 'steps' or 'last', not 'sum'"):
        readout_kind("sum")


def test_outputs_that_are_read_several_times_cannot_be_continued():
    model = model_of(generator(4), "steps")
    with pytest.raises(ValueError, match="read 2 times"):
        model.run(np.zeros((1, 2, 2), int), outputs=np.zeros((1, 3), int))
