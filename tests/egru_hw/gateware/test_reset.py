"""A reset in the middle of anything leaves the accelerator idle, with what was loaded."""

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from egru_hw.contract.config import preset
from egru_hw.contract.image import LOADABLE, build_image
from egru_hw.contract.limits import longest_command
from egru_hw.contract.protocol import (
    PACKET,
    VALUE_BITS,
    Command,
    Reply,
    Target,
    pack,
    unpack,
    word_bits,
)
from egru_hw.gateware.accelerator import Accelerator
from egru_hw.host import commands
from egru_hw.host.replies import Replies
from golden.integer import IntegerEGRU
from sim.comparison import compare
from sim.random_models import random_inputs, random_model
from tests.helpers.simulation import run
from tests.helpers.streams import generator

TINY = preset("tiny")


def session(seed: int, hidden_sizes: tuple[int, ...]):
    """A model and inputs."""
    rng = generator(seed)
    return random_model(rng, 3, hidden_sizes, 2), random_inputs(rng, 1, 4, 3)


BUILT_IN, OTHER = session(1, (7, 5)), session(2, (4, 3, 6))
IMAGE = build_image(BUILT_IN[0], TINY, report_events=True)


class Used:
    """A transport to an accelerator that has BUILT_IN in its memories and keeps its state."""

    def __init__(self):
        self.rst = Signal()
        self.accelerator = Accelerator(TINY, IMAGE)
        self.simulator = Simulator(ResetInserter(self.rst)(self.accelerator))
        self.simulator.add_clock(1e-6)
        self.simulator.add_testbench(self._bench)

    def power_up(self, rng: np.random.Generator, stall: float) -> None:
        """Streams stall with probability ``stall`` from now on."""
        self.power_down()
        self.rng, self.stall = rng, stall
        self.powered, self.pulse = True, False
        self.sent = np.array([], np.uint64)
        self._play([])
        self.simulator.reset()

    def power_down(self) -> None:
        """End the simulation."""
        self.powered = False
        while self.simulator.advance():
            pass

    def exchange(self, packets: np.ndarray, replies: int) -> np.ndarray:
        self._play(packets.tolist())
        while self.replies < replies:
            self.simulator.advance()
            assert self.silent <= 2 * longest_command(TINY), "the accelerator is blocked"
        return np.array(self.received, np.uint64)

    def reset(self) -> None:
        self.leave_off(np.array([], np.uint64), 0)

    def send(self, packets: np.ndarray) -> None:
        self.sent = np.append(self.sent, packets)

    def receive(self, count: int) -> np.ndarray:
        packets, self.sent = self.sent, self.sent[:0]
        return self.exchange(packets, count)

    def close(self) -> None:
        pass

    def leave_off(self, packets: np.ndarray, cycles: int) -> None:
        """Play ``packets`` for ``cycles``; then reset the accelerator for one cycle."""
        self._play(packets.tolist())
        self._advance(cycles)
        self._play([])
        self.pulse = True
        self._advance(1)
        self.pulse = False
        self._advance(2)
        assert not self.busy, "busy after a reset"

    def _play(self, packets: list[int]) -> None:
        self.packets, self.offering = packets[::-1], False
        self.received: list[int] = []
        self.replies = self.silent = self.cycle = 0

    def _advance(self, cycles: int) -> None:
        end = self.cycle + cycles
        while self.cycle < end:
            self.simulator.advance()

    async def _bench(self, ctx):
        accelerator = self.accelerator
        while self.powered:
            self.offering = bool(self.packets) and (
                self.offering or self.rng.random() >= self.stall
            )
            ready = self.rng.random() >= self.stall
            ctx.set(self.rst, self.pulse)
            ctx.set(accelerator.i.valid, self.offering)
            if self.offering:
                ctx.set(accelerator.i.payload, PACKET.from_bits(self.packets[-1]))
            ctx.set(accelerator.o.ready, ready)
            _, _, accepted, valid, packet, self.busy = await ctx.tick().sample(
                accelerator.i.ready, accelerator.o.valid, accelerator.o.payload, accelerator.busy
            )
            self.cycle += 1
            self.silent += 1
            if self.offering and accepted:
                self.packets.pop()
                self.offering, self.silent = False, 0
            if valid and ready:
                self.received.append(packet.as_bits())
                self.replies += packet.code != Reply.EVENT
                self.silent = 0


@pytest.fixture(scope="module")
def device():
    device = Used()
    yield device
    device.power_down()


def steps(inputs: np.ndarray) -> np.ndarray:
    """Packets of a sequence with a READOUT after its last step."""
    return np.concatenate(
        [
            pack(Command.RESET).reshape(1),
            commands.sequence(inputs[0], reads=[inputs.shape[1]]),
        ]
    )


def read(target: Target, count: int) -> np.ndarray:
    return pack([Command.SELECT, Command.READ], target, [0, count])


def activity(rng: np.random.Generator) -> np.ndarray:
    """Packets of a host: a sequence of the built-in model, another model, or anything."""
    chance = rng.random()
    if chance < 0.6:
        return np.append(steps(BUILT_IN[1]), read(Target.STATE, 12))
    if chance < 0.8:
        image = build_image(OTHER[0], TINY, report_events=True)
        return np.append(commands.load(image, TINY), steps(OTHER[1]))
    codes = rng.choice([*Command], 200)
    values = np.where(rng.random(200) < 0.5, rng.integers(0, 4, 200), rng.integers(0, 2**32, 200))
    return pack(codes, rng.integers(0, 8, 200), values)


def model_of(device: Used) -> int:
    (packet,) = device.exchange(read(Target.MODEL, 1), 1)
    return int(unpack(packet)[2]) & 0xFFFFFFFF


def check(device: Used, model: IntegerEGRU, inputs: np.ndarray) -> None:
    """The device computes ``model``, without loading it."""
    count = inputs.shape[1]
    packets = device.exchange(steps(inputs), count + model.outputs)
    replies = Replies.sorted(packets, {Reply.STEP: count, Reply.OUTPUT: model.outputs})
    events = replies.events(sum(model.hidden_sizes))
    expected = model.run(inputs)
    assert (events == np.concatenate([layer[0] for layer in expected.events], axis=1)).all()
    assert (replies.outputs == expected.outputs[0]).all()


@settings(max_examples=settings().max_examples // 16, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.4]))
def test_after_a_reset_at_any_time_the_next_session_is_exact(device, seed, stall):
    rng = generator(seed)
    device.power_up(rng, stall)
    written = False
    for _ in range(4):
        packets = activity(rng)
        device.leave_off(packets, int(rng.integers(0, 2 * len(packets))))
        written |= bool((unpack(packets)[0] == Command.WRITE).any())
        if model_of(device):
            assert model_of(device) == IMAGE.digest
            check(device, *BUILT_IN)
        else:
            assert written
    model, inputs = OTHER
    comparison = compare(model.run(inputs), run(device, TINY, model, inputs))
    assert comparison.mismatches == 0, str(comparison.first)
    assert model_of(device) == 0


@pytest.mark.parametrize("cycles", range(0, 90, 5))
def test_after_a_reset_in_any_cycle_of_a_step_the_next_session_is_exact(device, cycles):
    device.power_up(generator(cycles), 0.0)
    device.leave_off(steps(BUILT_IN[1]), cycles)
    assert model_of(device) == IMAGE.digest
    check(device, *BUILT_IN)


def test_a_reset_keeps_a_model_that_was_loaded(device):
    device.power_up(generator(1), 0.0)
    load = commands.load(build_image(OTHER[0], TINY, report_events=True), TINY)
    device.leave_off(np.append(load, steps(OTHER[1])), len(load) + 60)
    check(device, *OTHER)


@pytest.mark.parametrize("target", LOADABLE)
def test_the_first_word_written_makes_the_model_unknown_for_good(device, target):
    device.power_up(generator(1), 0.0)
    assert model_of(device) == IMAGE.digest
    chunks = -(-word_bits(TINY, target) // VALUE_BITS)
    select, write = pack([Command.SELECT, Command.WRITE], target)
    device.leave_off(np.array([select, *[write] * (chunks - 1)], np.uint64), 20)
    assert model_of(device) == IMAGE.digest, "half a word is none"
    device.leave_off(np.array([select, *[write] * chunks], np.uint64), 20)
    assert model_of(device) == 0


def test_counters_may_be_cleared_without_losing_the_model(device):
    device.power_up(generator(1), 0.0)
    device.leave_off(pack([Command.SELECT, Command.WRITE], Target.COUNTERS), 20)
    assert model_of(device) == IMAGE.digest
