"""Whatever a host has sent before, the next session's results are right."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import PACKET, Command, Reply, Target, pack
from egru_hw.gateware.accelerator import Accelerator
from egru_hw.host import driver
from sim.comparison import compare
from tests.helpers.models import random_inputs, random_model
from tests.helpers.streams import generator

TINY = preset("tiny")
PATIENCE = 3000  # cycles without a reply after which nothing more is expected
LIMIT = 60_000  # cycles


class Used:
    """An accelerator with a model, in which another host has left off after ``before``."""

    def __init__(self, image, before):
        self.image, self.before = image, before

    def exchange(self, packets: np.ndarray, replies: int) -> np.ndarray:
        accelerator = Accelerator(TINY, self.image)
        received: list[int] = []

        async def send(ctx):
            for packet in [*self.before.tolist(), *packets.tolist()]:
                ctx.set(accelerator.i.valid, 1)
                ctx.set(accelerator.i.payload, PACKET.from_bits(packet))
                await ctx.tick().until(accelerator.i.ready)
                ctx.set(accelerator.i.valid, 0)

        async def receive(ctx):
            idle = cycle = 0
            ctx.set(accelerator.o.ready, 1)
            while idle < PATIENCE and cycle < LIMIT:
                cycle += 1
                _, _, valid, packet = await ctx.tick().sample(
                    accelerator.o.valid, accelerator.o.payload
                )
                idle += 1
                if valid:
                    received.append(packet.as_bits())
                    idle = 0

        simulator = Simulator(accelerator)
        simulator.add_clock(1e-6)
        simulator.add_testbench(send, background=True)
        simulator.add_testbench(receive)
        simulator.run()
        # What the session before has not waited for comes first.
        answers = [i for i, p in enumerate(received) if p >> PACKET["code"].offset != Reply.EVENT]
        assert len(answers) >= replies, "the accelerator is blocked"
        first = answers[-replies - 1] + 1 if len(answers) > replies else 0
        return np.array(received[first:], np.uint64)


def check_after(before: np.ndarray, seed: int = 3) -> None:
    rng = generator(seed)
    model = random_model(rng, 3, (7, 5), 2)
    inputs = random_inputs(rng, 1, 4, 3)
    image = build_image(model, TINY, report_events=True)
    result = driver.run(Used(image, before), TINY, model, inputs)
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
    ],
)
def test_a_host_that_left_off_anywhere_does_not_harm_the_next_one(before):
    check_after(np.array([pack(*words) for words in before], np.uint64))


words = st.tuples(
    st.sampled_from([0, *Command, *Command, 8, 15]),
    st.integers(0, 2),
    st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1)),
)


@settings(max_examples=settings().max_examples // 5, deadline=None)
@given(st.lists(words, min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_no_sequence_of_packets_harms_the_next_session(sequence, seed):
    # But for writes to REGISTERS, the target at power-up: a step with impossible sizes may block.
    sequence = [(Command.SELECT, Target.WEIGHTS, 0), *sequence]
    sequence = [words for words in sequence if words[:2] != (Command.SELECT, Target.REGISTERS)]
    packets = [pack(*words) for words in sequence]
    check_after(np.array(packets, np.uint64), seed)
