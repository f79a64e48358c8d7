"""Read-out kinds: another one is a class and an entry, from the float network to the hardware."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import sim
from egru_hw.contract.config import preset
from golden import Network, QuantizedNetwork, quantize
from golden.readouts import READOUTS, ReadoutKind, readout_kind
from tests.helpers.models import random_inputs, random_model
from tests.helpers.streams import generator


class Last(ReadoutKind):
    """Logits of a sequence: the linear map of its last step's events."""

    name = "last"
    per_step = False

    def pool(self, events):
        return events[:, -1]

    def reads(self, steps):
        return (steps - 1, steps) if steps > 1 else (1,)

    def outputs(self, sums):
        return sums[:, -1]

    def divisor(self, steps):
        return 1


KINDS = [*READOUTS, "last"]


@pytest.fixture(autouse=True)
def last(monkeypatch):
    monkeypatch.setitem(READOUTS, "last", Last())


def model_of(rng, kind: str):
    model = random_model(rng, 2, (5, 4), 3, threshold=2000)
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
    with pytest.raises(ValueError, match=r"readout must be 'mean' or 'steps'.*, not 'sum'"):
        readout_kind("sum")


def test_outputs_that_are_read_several_times_cannot_be_continued():
    model = model_of(generator(4), "steps")
    with pytest.raises(ValueError, match="read 2 times"):
        model.run(np.zeros((1, 2, 2), int), outputs=np.zeros((1, 3), int))
