"""Streams of equal width and different meaning do not connect; queues keep the meaning."""

import pytest
from amaranth.hdl import Fragment, Module
from amaranth.lib import data, stream

from egru_hw.contract.protocol import PACKET
from egru_hw.gateware.streams import Queue, connect
from tests.helpers.streams import STALLS, generator, get, plain, put, simulate

SIGNED_PACKET = data.StructLayout({"index": 12, "value": 32, "code": 4})  # as wide as PACKET


def test_streams_of_different_formats_rejected_even_if_as_wide():
    assert SIGNED_PACKET.size == PACKET.size
    source, sink = (stream.Signature(s) for s in (PACKET, SIGNED_PACKET))
    m = Module()
    with pytest.raises(TypeError, match="cannot connect a stream of StructLayout"):
        connect(m, source.create(), sink.flip().create())
    with pytest.raises(TypeError, match="cannot connect a stream of"):
        connect(m, stream.Signature(48).create(), source.flip().create())
    connect(m, source.create(), source.flip().create())
    Fragment.get(m, None)  # Amaranth warns of modules that nobody looks at


@STALLS
def test_a_queue_keeps_order_format_and_every_element_under_stalls(stall):
    rng = generator(1)
    dut = Queue(PACKET, 6)
    packets = [
        {"code": int(rng.integers(16)), "index": n, "value": int(rng.integers(2**32))}
        for n in range(100)
    ]

    async def send(ctx):
        await put(ctx, dut.i, packets, stall / 2, rng)

    async def receive(ctx):
        got = [plain(packet) for _, packet in await get(ctx, dut.o, 100, stall, rng)]
        assert got == packets
        assert ctx.get(dut.level) == 0

    simulate(dut, send, receive)
