"""Frames from a line: their headers, their bytes, and whether they are sound."""

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.gateware.streams import connect
from egru_hw.link.cobs import BYTE, Decoder
from egru_hw.link.frames import CRC, CRC_BYTES, MAX_BYTES, NONCE_BYTES, TO_DEVICE_HEADER, ToDevice

HEADER_BYTES = len(TO_DEVICE_HEADER)


class FrameReceiver(wiring.Component):
    """Bytes of the line to frames. Nothing can be stalled; a byte may arrive in every cycle.

    * ``o``: a byte of the frame, header and CRC included; ``position``: its place in the frame.
    * ``good``, ``damaged``: the frame has ended, and is or is not sound. ``kind``, ``number`` and
      ``ack`` are its header, and ``end`` is the place of its CRC, behind the payload.
    * ``nonce``: payload of the last HELLO.
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(BYTE, always_ready=True)),
                "o": Out(stream.Signature(BYTE, always_ready=True)),
                "position": Out(BYTE),
                "good": Out(1),
                "damaged": Out(1),
                "end": Out(BYTE),
                "nonce": Out(NONCE_BYTES * BYTE),
            }
            | {field: Out(BYTE) for field in TO_DEVICE_HEADER}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = Decoder()
        m.submodules.crc = crc = CRC.create()
        connect(m, wiring.flipped(self.i), decoder.i)
        connect(m, decoder.o, wiring.flipped(self.o))

        length = self.position
        byte = decoder.o.payload
        m.d.comb += [
            crc.data.eq(byte),
            crc.valid.eq(decoder.o.valid),
            crc.start.eq(decoder.end),
            self.end.eq(length - CRC_BYTES),
        ]
        with m.If(decoder.end):
            m.d.sync += length.eq(0)
        with m.Elif(decoder.o.valid & (length <= MAX_BYTES)):
            m.d.sync += length.eq(length + 1)

        with m.If(decoder.o.valid):
            for position, field in enumerate(TO_DEVICE_HEADER):
                with m.If(length == position):
                    m.d.sync += getattr(self, field).eq(byte)
            in_nonce = (length >= HEADER_BYTES) & (length < HEADER_BYTES + NONCE_BYTES)
            with m.If(in_nonce & (self.kind == ToDevice.HELLO)):
                m.d.sync += self.nonce.eq(Cat(self.nonce[BYTE:], byte))

        fits = (length >= HEADER_BYTES + CRC_BYTES) & (length <= MAX_BYTES)
        sound = decoder.whole & crc.match_detected & fits
        m.d.comb += [
            self.good.eq(decoder.end & sound),
            self.damaged.eq(decoder.end & ~sound),
        ]
        return m
