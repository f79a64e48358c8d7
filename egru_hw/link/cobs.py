"""COBS in hardware, a byte a cycle: bytes of frames to bytes on the line that are not zero."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

BYTE = 8

ELEMENT = data.StructLayout({"data": BYTE, "end": 1})
"""A byte of a frame, or the end of the frame, whose ``data`` is ignored."""


class Decoder(wiring.Component):
    """COBS: bytes of the line to bytes of frames, in the same cycle. Nothing can be stalled.

    * ``o``: a byte of the frame.
    * ``end``: a zero byte has ended the frame; ``whole``: no byte of its last block is missing.
      Zero bytes without a frame between them are ignored.
    """

    i: In(stream.Signature(BYTE, always_ready=True))
    o: Out(stream.Signature(BYTE, always_ready=True))
    end: Out(1)
    whole: Out(1)

    def elaborate(self, platform):
        m = Module()
        begun = Signal()
        left = Signal(BYTE)  # bytes of the block
        distance = self.i.payload  # to the next zero, at the start of a block

        m.d.comb += self.whole.eq(left == 0)
        with m.If(self.i.valid):
            with m.If(self.i.payload == 0):
                m.d.comb += self.end.eq(begun)
                m.d.sync += [begun.eq(0), left.eq(0)]
            with m.Elif(left == 0):
                # A full block is not followed by a zero, but it is longer than any frame.
                m.d.comb += self.o.valid.eq(begun)
                m.d.sync += [begun.eq(1), left.eq(distance - 1)]
            with m.Else():
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(self.i.payload)]
                m.d.sync += left.eq(left - 1)
        return m


class ReverseEncoder(wiring.Component):
    """Reverse COBS: bytes of frames to bytes of the line, in the same cycle.

    The zeros of a frame are replaced by the distance to the previous one, and the end by the
    distance to the last one and a zero byte. The end of a frame without bytes is a zero byte only.
    """

    i: In(stream.Signature(ELEMENT))
    o: Out(stream.Signature(BYTE))

    def elaborate(self, platform):
        m = Module()
        begun = Signal()
        distance = Signal(BYTE, init=1)
        element = self.i.payload
        zero = element.end | (element.data == 0)

        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.o.payload.eq(
                Mux(zero, distance & ~(element.end & ~begun).replicate(BYTE), element.data)
            ),
            self.i.ready.eq(self.o.ready & ~(element.end & begun)),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [begun.eq(~element.end), distance.eq(Mux(zero, 1, distance + 1))]
        return m
