"""The whole behind its serial line, as on a board: bytes in, bytes out."""

import numpy as np
from amaranth.hdl import Module

from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import Reply
from egru_hw.gateware.accelerator import Accelerator
from egru_hw.gateware.streams import connect
from egru_hw.host import commands
from egru_hw.host.replies import Replies
from egru_hw.link import framing
from egru_hw.link.uart import PacketUART
from tests.helpers.models import random_inputs, random_model
from tests.helpers.streams import generator, simulate

TINY = preset("tiny")
DIVISOR = 4  # cycles a bit


def test_a_built_in_model_answers_over_the_serial_line():
    rng = generator(1)
    model = random_model(rng, 2, (6,), 3, threshold=1000)
    inputs = random_inputs(rng, 1, 5, 2)
    expected = model.run(inputs)
    packets = commands.sequence(inputs[0], reads=[inputs.shape[1]])
    fired = int(np.count_nonzero(expected.events[0]))
    replies = fired + inputs.shape[1] + model.outputs
    assert fired > 0

    m = Module()
    m.submodules.uart = uart = PacketUART(DIVISOR, depth=16)
    m.submodules.accelerator = accelerator = Accelerator(TINY, build_image(model, TINY, True))
    connect(m, uart.o, accelerator.i)
    connect(m, accelerator.o, uart.i)
    received = bytearray()

    async def send(ctx):
        for byte in framing.encode(packets):
            for bit in (0, *((byte >> n) & 1 for n in range(8)), 1):
                ctx.set(uart.rx, bit)
                await ctx.tick().repeat(DIVISOR)

    async def receive(ctx):
        while len(received) < replies * framing.BYTES_PER_PACKET:
            await ctx.tick().until(~uart.tx)
            await ctx.tick().repeat(DIVISOR // 2)
            byte = 0
            for n in range(8):
                await ctx.tick().repeat(DIVISOR)
                byte |= ctx.get(uart.tx) << n
            received.append(byte)
            await ctx.tick().repeat(DIVISOR)

    simulate(m, send, receive)
    packets, rest, lost = framing.decode(bytes(received))
    assert (rest, lost) == (b"", 0)
    found = Replies.sorted(packets, {Reply.STEP: inputs.shape[1], Reply.OUTPUT: model.outputs})
    assert (found.events(6) == expected.events[0][0]).all()
    assert (found.outputs == expected.outputs[0]).all()
