"""Sequences of different lengths on the generated Verilog: equal to each alone, at its own cost."""

from dataclasses import replace

import numpy as np
import pytest

import sim
from boards.ulx3s import BOARD
from egru_hw.contract.protocol import Counter
from egru_hw.cost.area import variants
from egru_hw.cost.cycles import cost
from egru_hw.cost.search import Candidate, evaluate
from egru_hw.cost.summary import summary
from golden.readouts import READOUTS
from sim import compare, report
from sim.random_models import random_inputs, random_model
from sim.simulation import bound
from tests.egru_hw.gateware.test_accelerator import BUILD, TINY
from tests.helpers.streams import generator

LENGTHS = np.array([6, 1, 9, 3])


def case(readout: str):
    """A model, and raw inputs (4, 9, 2) with anything in the padding."""
    rng = generator(1)
    model = random_model(rng, 2, (5, 4), 3, threshold=2000, readout=readout)
    inputs = random_inputs(rng, 4, 9, 2)
    inputs[np.arange(9) >= LENGTHS[:, None]] = 9999
    return model, inputs


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("readout", READOUTS)
def test_the_hardware_runs_each_sequence_to_its_own_end(readout, stall):
    model, inputs = case(readout)
    found = sim.run(model, inputs, lengths=LENGTHS, config=TINY, build=BUILD, stall=stall)
    assert found.comparison.mismatches == 0
    outputs = LENGTHS.sum() if readout == "steps" else 4
    assert found.comparison.compared == LENGTHS.sum() * 9 + 4 * 9 + outputs * 3
    for n, length in enumerate(LENGTHS.tolist()):
        alone = model.run(inputs[n : n + 1, :length])
        for layer in range(2):
            assert np.array_equal(found.hardware.events[layer][n, :length], alone.events[layer][0])
            assert np.array_equal(found.hardware.states[layer][n], alone.state[layer][1][0])
        expected = alone.outputs[0]
        output = found.hardware.outputs[n]
        assert np.array_equal(output[:length] if readout == "steps" else output, expected)
    assert found.hardware.counters[Counter.STEPS] == LENGTHS.sum()


@pytest.mark.parametrize("readout", READOUTS)
def test_costs_are_those_of_each_sequence_alone_and_what_the_hardware_counts(readout):
    model, inputs = case(readout)
    found = sim.run(model, inputs, lengths=LENGTHS, config=TINY, build=BUILD)
    result = cost(model, found.golden, TINY)
    assert result.counters == {c: found.hardware.counters[c] for c in result.counters}
    parts, latencies, bounds = [], [], 0
    for n, length in enumerate(LENGTHS.tolist()):
        alone = model.run(inputs[n : n + 1, :length])
        parts.append(cost(model, alone, TINY))
        bounds += bound(alone, TINY)
        latencies += parts[-1].latency[0].tolist()
        assert np.array_equal(result.latency[n, :length], parts[-1].latency[0])
    assert result.cycles.tolist() == [int(part.cycles[0]) for part in parts]
    for counter, value in result.counters.items():
        assert value == sum(part.counters[counter] for part in parts)
    assert found.bound == bounds

    point = evaluate(Candidate(TINY), model, found.golden, 80.0, variants(BOARD.name))
    figures = summary(point, model, 80.0)
    assert figures["latency_mean"] == pytest.approx(np.mean(latencies))
    assert figures["latency_worst"] == max(latencies)
    assert figures["cycles_per_step"] == result.cycles.sum() / LENGTHS.sum()
    assert figures["steps_per_sequence"] == LENGTHS.mean()
    measured = report.summary(found)
    assert measured["cycles_per_step"] == found.cycles / LENGTHS.sum()
    assert measured["steps_per_sequence"] == LENGTHS.mean()
    events = sum(np.count_nonzero(layer) for layer in found.golden.events)
    assert measured["events_per_step"] == events / LENGTHS.sum()
    assert measured["activity_per_layer"] == list(found.golden.activity)


def test_a_difference_at_the_end_of_a_short_sequence_is_found(tmp_path):
    model, inputs = case("mean")
    found = sim.run(model, inputs, lengths=LENGTHS, config=TINY, build=BUILD)
    states = [layer.copy() for layer in found.hardware.states]
    states[1][1, 2] += 1
    spoilt = compare(found.golden, replace(found.hardware, states=tuple(states)))
    assert str(spoilt.first).startswith("final state at sequence 1, layer 1, unit 2: golden")
    report.plot_raster(found, 1, tmp_path / "raster.png")
    assert (tmp_path / "raster.png").stat().st_size > 1000


def test_padding_of_real_inputs_may_be_anything():
    model, inputs = case("mean")
    x = np.where(inputs == 9999, np.nan, inputs * model.input_format.scale)
    found = sim.run(model, x, lengths=LENGTHS, config=TINY, build=BUILD)
    assert found.comparison.mismatches == 0
    assert np.array_equal(found.golden.outputs, model.run(inputs, lengths=LENGTHS).outputs)


def test_bad_lengths_rejected_before_a_simulation_is_built(tmp_path):
    model, inputs = case("mean")
    with pytest.raises(ValueError, match="the length of sequence 2 is 10: expected 1 to 9"):
        sim.run(model, inputs, lengths=[6, 1, 10, 3], config=TINY, build=tmp_path / "build")
    assert not list(tmp_path.iterdir())
