"""Simulation as a library: comparison, bound, and inputs."""

from dataclasses import replace

import numpy as np
import pytest

import sim
from egru_hw.contract.config import preset
from sim.comparison import compare
from sim.simulation import bound
from sim.stimulus import Stimulus
from tests.helpers.models import random_inputs, random_model
from tests.helpers.streams import generator


def simulate_tiny(**options):
    rng = generator(1)
    model = random_model(rng, 2, (5, 4), 3, threshold=2000)
    inputs = random_inputs(rng, 3, 6, 2)
    return sim.run(model, inputs, config=preset("tiny"), backend="amaranth", **options)


def spoil(simulation, where):
    """The simulation as it were if the hardware had one number wrong."""
    hardware = simulation.hardware
    if where == "event":
        events = [layer.copy() for layer in hardware.events]
        events[1][2, 3, 1] ^= 5
        hardware = replace(hardware, events=tuple(events))
    elif where == "final state":
        states = [layer.copy() for layer in hardware.states]
        states[0][1, 4] += 1
        hardware = replace(hardware, states=tuple(states))
    else:
        outputs = hardware.outputs.copy()
        outputs[0, 2] -= 1
        hardware = replace(hardware, outputs=outputs)
    return replace(simulation, hardware=hardware, comparison=compare(simulation.golden, hardware))


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("event", "event at sequence 2, step 3, layer 1, unit 1: golden"),
        ("final state", "final state at sequence 1, layer 0, unit 4: golden"),
        ("read-out", "read-out at sequence 0, output 2: golden"),
    ],
)
def test_a_single_wrong_number_is_found_and_named(where, place):
    simulation = simulate_tiny()
    assert simulation.comparison.mismatches == 0
    spoiled = spoil(simulation, where).comparison
    assert spoiled.mismatches == 1
    assert str(spoiled.first).startswith(place)


def test_the_first_of_several_differences_is_the_earliest():
    simulation = simulate_tiny()
    events = [layer.copy() for layer in simulation.hardware.events]
    for layer, place in ((1, (1, 2, 0)), (0, (1, 4, 0)), (0, (2, 0, 0))):
        events[layer][place] += 1
    hardware = replace(simulation.hardware, events=tuple(events))
    comparison = compare(simulation.golden, hardware)
    assert comparison.mismatches == 3
    assert (comparison.first.sequence, comparison.first.step, comparison.first.layer) == (1, 2, 1)

    states = [layer.copy() for layer in hardware.states]
    states[1][0, 3] += 1  # at the end of a sequence, but of an earlier one
    comparison = compare(simulation.golden, replace(hardware, states=tuple(states)))
    assert (comparison.first.what, comparison.first.sequence) == ("final state", 0)


def test_the_bound_counts_rows_of_events_and_groups_of_units():
    simulation = simulate_tiny()
    config, golden = simulation.config, simulation.golden
    by_hand = 0
    for layer, units in enumerate((5, 4)):
        for sequence in range(3):
            for step in range(6):
                events = golden.input_events[layer][sequence, step]
                events += golden.recurrent_events[layer][sequence, step]
                by_hand += events * -(-3 * units // config.lanes) + -(-units // 1)
    assert bound(golden, config) == by_hand == simulation.bound


def test_inputs_may_be_real_numbers():
    rng = generator(2)
    model = random_model(rng, 2, (5,))
    x = rng.normal(0, 1, (2, 4, 2))
    simulation = sim.run(model, x, config=preset("tiny"), backend="amaranth")
    expected = model.run(model.quantize_inputs(x))
    assert (simulation.hardware.events[0] == expected.events[0]).all()


@pytest.mark.parametrize("stall", [-0.1, 1.0, float("nan")])
def test_stall_that_is_no_probability_rejected(stall):
    with pytest.raises(ValueError, match="stall must be a probability"):
        Stimulus(stall=stall)


def test_unknown_backend_rejected():
    with pytest.raises(ValueError, match="backend must be 'verilator' or 'amaranth', not 'icarus'"):
        sim.run(random_model(generator(3), 1, (1,)), np.ones((1, 1, 1), int), backend="icarus")


def test_waves_are_recorded_where_asked(tmp_path):
    simulate_tiny(waves=tmp_path / "tiny.vcd")
    assert "$enddefinitions" in (tmp_path / "tiny.vcd").read_text()
