"""The whole accelerator equals the integer model: every event, final state and output."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim
from egru_hw.contract.config import Config, preset
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import Command, Counter, Reply, Target, pack, unpack
from egru_hw.host import commands
from egru_hw.host.device import Device
from egru_hw.host.replies import Replies
from egru_hw.host.transport import TransportError
from golden.integer.numerics import THRESHOLD_ONE
from golden.model_file import load
from golden.tasks import TASKS
from sim.backends import BACKENDS
from sim.backends.amaranth_simulator import AmaranthTransport
from sim.backends.cocotb_runner import CocotbTransport
from sim.backends.verilator import VerilatorTransport
from sim.random_models import random_inputs, random_model
from sim.stimulus import Stimulus
from tests.helpers.simulation import exchange
from tests.helpers.streams import generator

BUILD = Path("build/sim")
TINY = preset("tiny")
# Four units a cycle, as on the larger boards, and sizes that divide nothing evenly.
WIDE = Config(
    lanes=24,
    units_per_cycle=4,
    max_units=48,
    max_inputs=20,
    max_outputs=11,
    max_layers=4,
    weight_rows=500,
    readout_lanes=4,
)
SHIPPED = Path("golden/models/mnist1d.safetensors")

# Model, and what it is there for.
CORNERS = {
    "one unit, one input": {"input_size": 1, "hidden_sizes": (1,), "outputs": 1},
    "a size that is no multiple of the lanes": {"input_size": 3, "hidden_sizes": (13,)},
    "as many units as there are": {"input_size": 2, "hidden_sizes": (16,), "outputs": 8},
    "no events": {"input_size": 2, "hidden_sizes": (9,), "drive": "silent", "outputs": 2},
    "every unit fires": {"input_size": 2, "hidden_sizes": (9,), "drive": "firing", "outputs": 2},
    "saturating sums": {"input_size": 2, "hidden_sizes": (11,), "drive": "saturating"},
    "threshold 0": {"input_size": 2, "hidden_sizes": (8,), "threshold": 0, "outputs": 3},
    "threshold 1": {"input_size": 2, "hidden_sizes": (8,), "threshold": THRESHOLD_ONE},
    "three layers": {"input_size": 2, "hidden_sizes": (5, 3, 6), "outputs": 3},
    "4-bit weights": {"input_size": 2, "hidden_sizes": (7,), "weight_bits": 4, "outputs": 2},
}


def check(simulation: sim.Simulation) -> None:
    assert simulation.comparison.compared > 0
    assert simulation.comparison.mismatches == 0, str(simulation.comparison.first)
    counters, golden = simulation.hardware.counters, simulation.golden
    events = golden.events
    assert counters[Counter.STEPS] == events[0].shape[0] * events[0].shape[1]
    assert counters[Counter.INPUT_EVENTS] == sum(int(n.sum()) for n in golden.input_events)
    assert counters[Counter.RECURRENT_EVENTS] == sum(int(n.sum()) for n in golden.recurrent_events)
    assert counters[Counter.MACS] == sum(int(n.sum()) for n in golden.operations)


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("corner", CORNERS)
def test_rtl_equals_the_integer_model_in_the_corners(corner, stall):
    rng = generator(1)
    model = random_model(rng, **CORNERS[corner])
    inputs = random_inputs(rng, 3, 8, model.input_size)
    simulation = sim.run(model, inputs, stall=stall, seed=1, config=TINY)
    check(simulation)
    activity = simulation.golden.activity[0]
    if corner in ("no events", "threshold 1"):
        assert activity == 0
    if corner == "every unit fires":
        assert activity == 1


@pytest.mark.parametrize("seed", range(8))
def test_rtl_equals_the_integer_model_for_random_sizes(seed):
    rng = generator(seed)
    layers = int(rng.integers(1, 4))
    model = random_model(
        rng,
        input_size=int(rng.integers(1, 21)),
        hidden_sizes=tuple(int(h) for h in rng.integers(1, 13, layers)),
        outputs=int(rng.integers(0, 12)),
        threshold=[None, 1000][seed % 2],
        density=0.5,
    )
    inputs = random_inputs(rng, 3, 10, model.input_size, density=rng.random())
    check(sim.run(model, inputs, stall=[0.0, 0.2, 0.6][seed % 3], seed=seed, config=WIDE))


def test_rtl_equals_the_integer_model_on_steps_without_any_input():
    rng = generator(5)
    model = random_model(rng, 2, (9, 4), 2)
    check(sim.run(model, np.zeros((2, 6, 2), np.int64), config=WIDE))


def test_the_shipped_model_runs_bit_exact_on_the_board_preset_within_its_cycles():
    model = load(SHIPPED).integer
    inputs, _ = TASKS["mnist1d"].test()
    simulation = sim.run(model, inputs[:4])
    check(simulation)
    assert simulation.cycles <= 1.2 * simulation.bound


def test_waves_of_the_verilog_are_recorded_where_asked(tmp_path):
    rng = generator(10)
    model = random_model(rng, 2, (5,))
    waves = tmp_path / "egru.vcd"
    check(sim.run(model, random_inputs(rng, 1, 2, 2), config=TINY, waves=waves))
    assert "$enddefinitions" in waves.read_text()


def test_all_simulators_agree_to_the_cycle():
    rng = generator(6)
    model = random_model(rng, 2, (5, 4), 3)
    inputs = random_inputs(rng, 2, 5, 2)
    found = [sim.run(model, inputs, config=TINY, backend=name) for name in BACKENDS]
    for simulation in found:
        check(simulation)
        assert simulation.hardware.counters == found[0].hardware.counters


@pytest.mark.parametrize("backend", BACKENDS)
def test_stalls_hold_back_both_streams(backend):
    rng = generator(15)
    model = random_model(rng, 2, (9,), drive="firing")
    inputs = random_inputs(rng, 2, 6, 2, density=1.0)
    free, stalled = (
        sim.run(model, inputs, config=TINY, backend=backend, stall=stall).hardware.counters
        for stall in (0.0, 0.9)
    )
    for waits in (Counter.STALL_INPUT, Counter.STALL_OUTPUT):
        assert stalled[waits] > free[waits], waits.name


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_the_harness_sees_the_packets_that_the_reference_bench_sees(stall):
    rng = generator(14)
    model = random_model(rng, 4, (7, 5), 3)
    packets = np.concatenate(
        [
            commands.load(build_image(model, TINY, report_events=True), TINY),
            commands.sequence(random_inputs(rng, 1, 20, 4)[0], reads=[7, 20]),
        ]
    )
    harness, bench = (
        exchange(transport(TINY, Stimulus(stall=stall, seed=5), BUILD), packets, 20 + 2 * 3)
        for transport in (VerilatorTransport, CocotbTransport)
    )
    assert len(harness) > 20 + 2 * 3
    assert harness.tolist() == bench.tolist()


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_reset_in_the_middle_of_a_step_starts_from_rest(stall):
    rng = generator(7)
    model = random_model(rng, 3, (7, 5), 4)
    begun, whole = random_inputs(rng, 2, 6, 3, density=1.0)
    cut = 4
    packets = np.concatenate(
        [
            commands.load(build_image(model, TINY, report_events=True), TINY),
            pack(Command.RESET).reshape(1),
            commands.sequence(begun[:cut]),
            commands.sequence(begun[cut:])[:2],  # some events of a step, no STEP
            pack(Command.RESET).reshape(1),
            commands.sequence(whole),
            pack(Command.READOUT).reshape(1),
        ]
    )
    transport = VerilatorTransport(TINY, Stimulus(stall=stall, seed=7), BUILD)
    steps = cut + len(whole)
    counts = {Reply.STEP: steps, Reply.OUTPUT: model.outputs}
    replies = Replies.sorted(exchange(transport, packets, steps + model.outputs), counts)
    events = replies.events(12)

    expected_cut, expected = model.run(begun[None, :cut]), model.run(whole[None])
    assert (events[:cut] == np.concatenate([e[0] for e in expected_cut.events], 1)).all()
    assert (events[cut:] == np.concatenate([e[0] for e in expected.events], 1)).all()
    assert (replies.outputs == expected.outputs[0]).all()


def test_a_model_built_into_the_memories_runs_without_loading():
    rng = generator(8)
    model = random_model(rng, 2, (5,), 3)
    inputs = random_inputs(rng, 1, 6, 2)[0]
    image = build_image(model, TINY, report_events=True)
    packets = np.concatenate([commands.sequence(inputs), pack(Command.READOUT).reshape(1)])
    transport = AmaranthTransport(TINY, Stimulus(), image)
    codes, _, values = unpack(exchange(transport, packets, len(inputs) + model.outputs))
    assert (values[codes == Reply.OUTPUT] == model.run(inputs[None]).outputs[0]).all()


def test_the_hardware_says_which_configuration_it_was_built_for():
    transport = AmaranthTransport(TINY, Stimulus())
    other = replace(TINY, max_inputs=TINY.max_inputs - 1)
    with pytest.raises(TransportError, match="another configuration"):
        Device(transport, other)


def test_an_accelerator_that_falls_silent_is_reported(monkeypatch):
    monkeypatch.setattr("sim.backends.verilator.PATIENCE", 500)
    transport = VerilatorTransport(TINY, Stimulus(), BUILD)
    read = np.array([pack(Command.SELECT, Target.IDENTITY), pack(Command.READ, 0, 1)])
    with pytest.raises(TransportError, match="1 of 2 replies are missing"):
        exchange(transport, read, 2)
