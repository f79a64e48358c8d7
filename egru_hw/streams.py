"""Streams: connecting them with their formats checked, and queues that keep the format."""

from amaranth.hdl import Module, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out


def payload_format(port):
    """What the payload of a stream means: a layout, or the shape of a plain value."""
    payload = port.payload
    return payload.shape() if isinstance(payload, (data.View, Value)) else payload


def connect(m: Module, source, sink) -> None:
    """Connect stream ``source`` to ``sink``.

    ``wiring.connect`` lets different formats pass when their widths agree; this does not.
    """
    if payload_format(source) != payload_format(sink):
        raise TypeError(
            f"cannot connect a stream of {payload_format(source)!r} to one of "
            f"{payload_format(sink)!r}"
        )
    wiring.connect(m, source, sink)


class Queue(wiring.Component):
    """A FIFO in block RAM for payloads of ``shape``; ``level`` of ``depth`` are waiting.

    Two cycles from ``i`` to ``o``, one element a cycle.
    """

    def __init__(self, shape, depth: int):
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = len(Value.cast(self.i.payload))
        m.submodules.fifo = queue = fifo.SyncFIFOBuffered(width=width, depth=self.depth)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            Value.cast(self.o.payload).eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            self.level.eq(queue.level),
        ]
        return m
