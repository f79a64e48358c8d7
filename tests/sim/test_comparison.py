"""The comparison finds every wrong number and names the first."""

from dataclasses import replace

import pytest

import sim
from egru_hw.contract.config import preset
from golden.readouts import READOUTS
from sim import compare
from sim.random_models import random_inputs, random_model
from tests.helpers.simulation import simulate_tiny, spoil
from tests.helpers.streams import generator


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


def test_a_wrong_output_of_a_read_out_at_every_step_is_named_with_its_step():
    rng = generator(4)
    model = random_model(rng, 2, (5,), 3, threshold=2000)
    model = replace(model, readout=replace(model.readout, kind=READOUTS["steps"]))
    inputs = random_inputs(rng, 2, 4, 2)
    simulation = sim.run(model, inputs, config=preset("tiny"), backend="amaranth")
    assert simulation.hardware.outputs.shape == (2, 4, 3)
    assert simulation.comparison.mismatches == 0
    assert simulation.comparison.compared == 2 * 4 * 5 + 2 * 5 + 2 * 4 * 3

    outputs = simulation.hardware.outputs.copy()
    outputs[1, 2, 0] += 1
    states = [layer.copy() for layer in simulation.hardware.states]
    states[0][1, 3] += 1  # of the same sequence, but after its last step
    spoiled = replace(simulation.hardware, outputs=outputs, states=tuple(states))
    comparison = compare(simulation.golden, spoiled)
    assert comparison.mismatches == 2
    assert str(comparison.first).startswith("read-out at sequence 1, step 2, output 0: golden")
