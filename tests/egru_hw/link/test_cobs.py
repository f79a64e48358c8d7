"""Both encodings are COBS, a byte a cycle."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from egru_hw.link.cobs import Decoder, ReverseEncoder
from egru_hw.link.frames import MAX_BYTES
from tests.helpers import cobs
from tests.helpers.streams import STALLS, generator, get, put, simulate

few = st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 255))  # bytes, often zero
lines = st.lists(st.lists(few, max_size=30).map(bytes), max_size=4)


def decoded(line: bytes) -> tuple[list[bytes], list[bool]]:
    """What the decoder makes of ``line``: frames, and whether each is whole."""
    dut = Decoder()
    frames, whole = [bytearray()], []

    async def bench(ctx):
        for byte in line:
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            if ctx.get(dut.o.valid):
                frames[-1].append(ctx.get(dut.o.payload))
            if ctx.get(dut.end):
                whole.append(bool(ctx.get(dut.whole)))
                frames.append(bytearray())
            await ctx.tick()

    simulate(dut, bench)
    return [bytes(frame) for frame in frames[:-1]], whole


@settings(max_examples=30, deadline=None)
@given(lines)
def test_decoder_gives_what_was_encoded_and_nothing_between_two_zeros(frames):
    line = b"".join(cobs.encode(frame) + b"\0\0" for frame in frames)
    assert decoded(line) == (frames, [True] * len(frames))


@settings(max_examples=30, deadline=None)
@given(lines)
def test_decoder_finds_the_frames_that_are_not_whole(pieces):
    line = b"".join(piece + b"\0" for piece in pieces)
    expected = []
    for piece in line.split(b"\0"):
        if piece:
            try:
                expected.append((cobs.decode(piece), True))
            except cobs.DecodeError:
                expected.append((None, False))
    frames, whole = decoded(line)
    assert whole == [right for _, right in expected]
    for frame, (wanted, right) in zip(frames, expected, strict=True):
        assert not right or frame == wanted


@STALLS
def test_encoder_equals_the_reference_backwards(stall):
    rng = generator(1)
    frames = [rng.integers(0, 4, n, np.uint8).tobytes() for n in (1, 2, 5, 17, 60)]
    frames += [bytes([255]) * MAX_BYTES, bytes(3), b""]
    expected = b"".join(cobs.encode(f[::-1])[::-1] + b"\0" if f else b"\0" for f in frames)
    dut = ReverseEncoder()
    elements = []
    for frame in frames:
        elements += [{"data": byte, "end": 0} for byte in frame] + [{"data": 7, "end": 1}]

    async def send(ctx):
        await put(ctx, dut.i, elements, stall, rng)

    async def receive(ctx):
        got = await get(ctx, dut.o, len(expected), stall, rng)
        assert bytes(byte for _, byte in got) == expected

    simulate(dut, send, receive)
