"""Streams: connections with checked formats, and queues that preserve the format."""

from amaranth.hdl import Module, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.gateware.shapes import register


def payload_format(port):
    """The format of a stream's payload: a layout, or the shape of a plain value."""
    payload = port.payload
    return payload.shape() if isinstance(payload, (data.View, Value)) else payload


def connect(m: Module, source, sink) -> None:
    """Connect stream ``source`` to ``sink``.

    ``wiring.connect`` accepts different formats of equal width; this does not.
    """
    if payload_format(source) != payload_format(sink):
        raise TypeError(
            f"cannot connect a stream of {payload_format(source)!r} to one of "
            f"{payload_format(sink)!r}"
        )
    wiring.connect(m, source, sink)


class Queue(wiring.Component):
    """A FIFO for payloads of ``shape``; ``level`` of ``depth + 1`` are waiting.

    In distributed RAM, with an output register: block RAM has a long clock-to-output delay, and
    a queue's output drives much logic. Two cycles from ``i`` to ``o``, one element per cycle.
    """

    def __init__(self, shape, depth: int):
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 2)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = len(Value.cast(self.i.payload))
        m.submodules.fifo = queue = fifo.SyncFIFO(width=width, depth=self.depth)
        head = register(width)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            queue.r_en.eq(~self.o.valid | self.o.ready),
            Value.cast(self.o.payload).eq(head),
            self.level.eq(queue.level + self.o.valid),
        ]
        with m.If(queue.r_en):
            m.d.sync += [self.o.valid.eq(queue.r_rdy), head.eq(queue.r_data)]
        return m
