"""The encoding of frames in hardware: COBS from the host, reverse COBS to it.

See :mod:`egru_hw.link.frames`. Neither needs a buffer.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.link.uart import DATA_BITS

FRAME_BYTE = data.StructLayout({"byte": DATA_BITS, "last": 1})
"""A byte of a frame, and whether it is its last."""


class Decoder(wiring.Component):
    """COBS decoder. Bytes of a frame come out in the cycle in which they are taken.

    * ``i``: bytes from the line. ``o``: bytes of the frame.
    * ``end``: a frame ends. ``whole``: all bytes that its encoding announces have come.
    """

    i: In(stream.Signature(DATA_BITS, always_ready=True))
    o: Out(stream.Signature(DATA_BITS, always_ready=True))
    end: Out(1)
    whole: Out(1)

    def elaborate(self, platform):
        m = Module()
        byte = self.i.payload
        begun = Signal()
        left = Signal(DATA_BITS)  # bytes until the next zero
        m.d.comb += [self.o.payload.eq(Mux(left == 0, 0, byte)), self.whole.eq(left == 0)]
        with m.If(self.i.valid):
            with m.If(byte == 0):
                m.d.comb += self.end.eq(begun)
                m.d.sync += [begun.eq(0), left.eq(0)]
            with m.Elif(left == 0):
                m.d.comb += self.o.valid.eq(begun)  # the zero before this block
                m.d.sync += [begun.eq(1), left.eq(byte - 1)]
            with m.Else():
                m.d.comb += self.o.valid.eq(1)
                m.d.sync += left.eq(left - 1)
        return m


class ReverseEncoder(wiring.Component):
    """Reverse COBS encoder with delimiter, for frames of at most 253 bytes.

    * ``i``: bytes of frames. ``o``: bytes for the line, in the same cycle.
    * ``idle``: every byte of the last frame has been taken.
    """

    i: In(stream.Signature(FRAME_BYTE))
    o: Out(stream.Signature(DATA_BITS))
    idle: Out(1)

    def elaborate(self, platform):
        m = Module()
        distance = Signal(DATA_BITS, init=1)  # from the last zero
        byte = self.i.payload.byte
        with m.FSM():
            with m.State("FRAME"):
                m.d.comb += [
                    self.idle.eq(1),
                    self.o.valid.eq(self.i.valid),
                    self.i.ready.eq(self.o.ready),
                    self.o.payload.eq(Mux(byte == 0, distance, byte)),
                ]
                with m.If(self.i.valid & self.o.ready):
                    m.d.sync += distance.eq(Mux(byte == 0, 1, distance + 1))
                    with m.If(self.i.payload.last):
                        m.next = "DISTANCE"
            with m.State("DISTANCE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(distance)]
                with m.If(self.o.ready):
                    m.d.sync += distance.eq(1)
                    m.next = "DELIMITER"
            with m.State("DELIMITER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "FRAME"
        return m
