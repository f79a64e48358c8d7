"""Whatever packets a host sends, the accelerator goes on in time, and the next session is exact."""

from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egru_hw.contract.config import Config, preset
from egru_hw.contract.image import build_image
from egru_hw.contract.limits import longest_command
from egru_hw.contract.protocol import Command, Counter, Reply, Target, address_bits, pack, unpack
from egru_hw.contract.registers import global_registers, register_addresses
from egru_hw.host import commands
from sim.backends.verilator import VerilatorTransport
from sim.comparison import compare
from sim.random_models import random_inputs, random_model
from sim.stimulus import Stimulus
from tests.helpers.simulation import exchange, run
from tests.helpers.streams import generator

BUILD = Path("build/sim")
TINY = preset("tiny")
# One layer, and no size that is a power of two.
ODD = Config(
    lanes=6,
    units_per_cycle=2,
    max_units=10,
    max_inputs=3,
    max_outputs=3,
    max_layers=1,
    weight_rows=65,
    readout_lanes=1,
)
CONFIGS = {"tiny": TINY, "odd": ODD}
MODELS = {"tiny": (7, 5), "odd": (9,)}
"""Units of the layers of a model, by the name of its configuration."""


class Used:
    """A transport to an accelerator that another host has left after ``before``.

    Fails if the accelerator takes longer than it may for any command.
    """

    def __init__(self, config: Config, before: np.ndarray, stimulus: Stimulus):
        self.before, self.earlier = before, answers(config, before)
        self.transport = VerilatorTransport(config, stimulus, BUILD)
        self.close, self.receive = self.transport.close, self.transport.receive
        # Each command lets another one in, or is answered, so that no longer silence is allowed.
        with patch("sim.backends.verilator.PATIENCE", longest_command(config)):
            self.transport.reset()

    def reset(self) -> None:
        self.transport.send(self.before)

    def send(self, packets: np.ndarray) -> None:
        self.transport.send(packets)
        self.transport.receive(self.earlier)
        self.earlier = 0


def answers(config: Config, packets: np.ndarray) -> int:
    """Number of replies to ``packets``, but for EVENT replies, according to docs/interface.md."""
    span = 1 << address_bits(config)
    outputs_address = register_addresses(config)["outputs"]
    target = address = outputs = count = 0
    for code, index, value in zip(*map(np.ndarray.tolist, unpack(packets)), strict=True):
        if code == Command.SELECT:
            target, address = index % len(Target), value % span
        elif code == Command.WRITE and target == Target.REGISTERS:
            if address == outputs_address:
                outputs = value % (1 << global_registers(config)["outputs"])
            address = (address + 1) % span
        elif code == Command.READ:
            count += value % span
            address = (address + value) % span
        elif code == Command.STEP:
            count += 1
        elif code == Command.READOUT:
            count += outputs
    return count


def session(name: str, seed: int = 3):
    """A model for the configuration ``name``, and inputs."""
    rng = generator(seed)
    return random_model(rng, 3, MODELS[name], 2), random_inputs(rng, 1, 4, 3)


def load(name: str) -> np.ndarray:
    """The packets that load the model of :func:`session`."""
    return commands.load(build_image(session(name)[0], CONFIGS[name], True), CONFIGS[name])


def check_after(before: np.ndarray, name: str = "tiny", stimulus: Stimulus | None = None) -> None:
    model, inputs = session(name)
    config = CONFIGS[name]
    with closing(Used(config, before, stimulus or Stimulus())) as transport:
        result = run(transport, config, model, inputs)
    comparison = compare(model.run(inputs), result)
    assert comparison.mismatches == 0, str(comparison.first)


@pytest.mark.parametrize(
    "before",
    [
        [],
        [(Command.EVENT, 0, 50)],
        [(Command.STEP, 0, 0)],
        [(Command.SELECT, Target.WEIGHTS, 0), (Command.WRITE, 0, 1)],
        [(Command.SELECT, Target.STATE, 0), (Command.READ, 0, 2**32 - 1)],
        [(Command.EVENT, 0, 50), (Command.READ, 0, 2)],
        [(Command.EVENT, 0, 50), (15, 0, 0)],
        [(Command.EVENT, 0, 50), (Command.STEP, 0, 0), (Command.READOUT, 0, 0)],
    ],
)
def test_a_host_that_left_off_anywhere_does_not_harm_the_next_one(before):
    check_after(np.array([pack(*words) for words in before], np.uint64))


@pytest.mark.parametrize("value", [0, 2**32 - 1])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_register_may_hold_what_describes_no_model(name, value):
    step = pack([Command.EVENT, Command.STEP, Command.STEP, Command.READOUT], 0, 255)
    before = [load(name)]
    for address in register_addresses(CONFIGS[name]).values():
        before += [pack([Command.SELECT, Command.WRITE], Target.REGISTERS, [address, value]), step]
    check_after(np.concatenate(before), name)


VALUES = st.one_of(st.integers(0, 31), st.just(2**32 - 1), st.integers(0, 2**32 - 1))
PACKETS = st.tuples(
    st.one_of(st.sampled_from(Command), st.integers(0, 15)),
    st.one_of(st.integers(0, 7), st.integers(0, 2**12 - 1)),
    VALUES,
).map(lambda words: pack(*words).reshape(1))
REGISTER_WRITES = st.tuples(st.integers(0, 31), VALUES).map(
    lambda words: pack([Command.SELECT, Command.WRITE], Target.REGISTERS, words)
)


@settings(max_examples=settings().max_examples, deadline=None)
@given(st.data(), st.sampled_from([*CONFIGS]), st.sampled_from([0.0, 0.3]))
def test_no_sequence_of_packets_locks_up_or_harms_the_next_session(data, name, stall):
    loads = st.just(load(name))
    parts = data.draw(st.lists(st.one_of(PACKETS, REGISTER_WRITES, loads), max_size=40))
    before = np.concatenate([np.array([], np.uint64), *parts])
    check_after(before, name, Stimulus(stall=stall, seed=1))


@settings(max_examples=settings().max_examples // 2, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([*CONFIGS]))
def test_thousands_of_packets_do_not_lock_up_or_harm_the_next_session(seed, name):
    rng = generator(seed)
    count = 5000
    codes = rng.choice([*range(16), *Command, Command.EVENT, Command.STEP], count)
    small, wide = rng.random((2, count)) < 0.5
    indices = np.where(small, rng.integers(0, 8, count), rng.integers(0, 2**12, count))
    values = np.where(wide, rng.integers(0, 2**32, count), rng.integers(0, 32, count))
    registers = pack(Command.WRITE, 0, rng.integers(0, 2**32, 29))
    select = pack(Command.SELECT, Target.REGISTERS).reshape(1)
    check_after(np.concatenate([select, registers, pack(codes, indices, values)]), name)


@settings(max_examples=settings().max_examples // 4, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([*CONFIGS]))
def test_no_step_takes_longer_than_stated(seed, name):
    rng, config = generator(seed), CONFIGS[name]
    clear, read = (
        pack([Command.SELECT, last], Target.COUNTERS, [Counter.CYCLES, 1])
        for last in (Command.WRITE, Command.READ)
    )
    busiest = random_model(rng, 3, (config.max_units,), 1, drive="firing")
    packets, steps = [commands.load(build_image(busiest, config), config)], 30
    for step in range(steps):
        if step % 3 == 0:  # Mostly longest: a pitch of 0 stands for one beyond its largest value.
            values = rng.integers(0, 2**32, len(register_addresses(config)))
            values[rng.random(len(values)) < 0.5] = 2**32 - 1
            values[rng.random(len(values)) < 0.3] = 0
            packets += [pack(Command.SELECT, Target.REGISTERS).reshape(1)]
            packets += [pack(Command.WRITE, 0, values)]
        packets += [clear, pack(Command.STEP).reshape(1), read]
    transport = VerilatorTransport(config, Stimulus(), BUILD)
    codes, _, values = unpack(exchange(transport, np.concatenate(packets), 2 * steps))
    cycles = values[codes == Reply.DATA]
    assert len(cycles) == steps
    print(f"{cycles.max()} cycles")
    assert 0 < cycles.max() <= longest_command(config)
