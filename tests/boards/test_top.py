"""A board's design, pins aside: bits of a serial line in, bits out."""

import re

import numpy as np

from boards.top import BoardTop
from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import VERSION, Command, Reply, pack, unpack
from egru_hw.gateware.verilog import convert
from egru_hw.host import commands
from egru_hw.host.replies import Replies
from egru_hw.link import packing
from egru_hw.link.frames import (
    DELIMITER,
    IDENTITY_BYTES,
    TO_DEVICE_PAYLOAD,
    Frame,
    FromDevice,
    ToDevice,
    decode_from_device,
    encode,
)
from sim.random_models import random_inputs, random_model
from tests.helpers.streams import generator, simulate

TINY = preset("tiny")
DIVISOR = 3
NONCE = b"\0abc"


def greeting() -> bytes:
    return DELIMITER + encode(Frame(ToDevice.HELLO, payload=NONCE))


def data(packets) -> bytes:
    """DATA frames of a new session."""
    payloads = packing.payloads(packets, Command, TO_DEVICE_PAYLOAD)
    return b"".join(
        encode(Frame(ToDevice.DATA, number, payload=payload))
        for number, payload in enumerate(payloads)
    )


def converse(dut: BoardTop, sent: bytes, enough) -> list[Frame]:
    """The frames with which the device answers ``sent``, up to the first that is ``enough``."""
    frames = []

    async def send(ctx):
        for byte in sent:
            for bit in (0, *((byte >> n) & 1 for n in range(8)), 1):
                ctx.set(dut.rx, bit)
                await ctx.tick().repeat(DIVISOR)

    async def receive(ctx):
        line = bytearray()
        while not (frames and enough(frames)):
            await ctx.tick().until(~dut.tx)
            await ctx.tick().repeat(DIVISOR // 2)
            byte = 0
            for n in range(8):
                await ctx.tick().repeat(DIVISOR)
                byte |= ctx.get(dut.tx) << n
            await ctx.tick().repeat(DIVISOR)
            if byte:
                line.append(byte)
            elif line:
                frames.append(decode_from_device(bytes(line)))
                line.clear()

    simulate(dut, send, receive)
    return frames


def test_a_built_in_model_answers_over_the_serial_line():
    rng = generator(1)
    model = random_model(rng, 2, (6,), 3, threshold=1000)
    inputs = random_inputs(rng, 1, 5, 2)
    expected = model.run(inputs)
    packets = np.append(commands.sequence(inputs[0]), pack(Command.READOUT))
    steps = inputs.shape[1]
    fired = int(np.count_nonzero(expected.events[0]))
    assert fired > 0
    dut = BoardTop(TINY, build_image(model, TINY, report_events=True), DIVISOR)

    def replies(frames: list[Frame]):
        payloads = [frame.payload for frame in frames if frame.kind == FromDevice.DATA]
        return packing.packets(b"".join(payloads), Reply)

    def all_there(frames):
        return len(replies(frames)) == fired + steps + model.outputs

    welcome, *frames = converse(dut, greeting() + data(packets), all_there)
    identity = TINY.fingerprint.to_bytes(IDENTITY_BYTES, "little")
    assert welcome == Frame(
        FromDevice.WELCOME, consumed=0, payload=NONCE + bytes([VERSION]) + identity
    )
    found = Replies.sorted(replies(frames), {})
    assert (found.events(6) == expected.events[0][0]).all()
    assert (found.outputs == expected.outputs[0]).all()


def test_a_greeting_resets_the_accelerator_in_mid_step():
    rng = generator(2)
    model = random_model(rng, 2, (6,), 3, threshold=1000)
    inputs = random_inputs(rng, 1, 3, 2)
    dut = BoardTop(TINY, build_image(model, TINY), DIVISOR)
    unfinished = pack(Command.EVENT, [0, 1], [100, -100])
    packets = np.append(commands.sequence(inputs[0]), pack(Command.READOUT))
    line = greeting() + data(unfinished) + greeting() + data(packets)

    def all_there(frames):
        return outputs(frames).size == model.outputs

    def outputs(frames):
        payloads = [frame.payload for frame in frames if frame.kind == FromDevice.DATA]
        codes, _, values = unpack(packing.packets(b"".join(payloads), Reply))
        return values[codes == Reply.OUTPUT]

    frames = converse(dut, line, all_there)
    assert [frame.kind for frame in frames].count(FromDevice.WELCOME) == 2
    assert (outputs(frames) == model.run(inputs).outputs[0]).all()


def test_the_verilog_has_no_ports_but_clock_line_and_lights():
    text = convert(BoardTop(TINY, None, DIVISOR), "board")
    (ports,) = re.findall(r"(?m)^module board\(([^)]*)\)", text)
    assert set(ports.split(", ")) == {"clk", "rst", "rx", "tx", "lights"}
