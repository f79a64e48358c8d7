"""Frames from the host: checked, DATA frames kept in slots, their commands handed over."""

from amaranth.hdl import Cat, Const, Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import PACKET
from egru_hw.gateware.shapes import register
from egru_hw.gateware.streams import connect
from egru_hw.link import frames
from egru_hw.link.cobs import Decoder
from egru_hw.link.frames import CRC_BYTES, NONCE_BYTES, ToDevice
from egru_hw.link.slots import ADDRESS, NUMBER_BITS, slots
from egru_hw.link.uart import DATA_BITS
from egru_hw.link.unpacker import Unpacker

HEADER = len(frames.TO_DEVICE_HEADER)


class Receiver(wiring.Component):
    """The device's part of docs/link.md for frames that arrive.

    * ``i``: bytes from the line, at most one in four cycles. ``o``: commands.
    * ``hello``: a session begins in the next cycle. ``open``: one has begun since power-up.
      ``nonce``: of its greeting.
    * ``expected``: number of the next DATA frame. ``consumed``: of the first one whose commands
      have not all been taken.
    * ``acked``: ``ack`` has arrived. ``resend``: with the request to send again from there on.
    * ``status``: the host has to be told ``expected``. ``gap``: that it must send again.
    * ``damaged``: a frame was damaged.
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(DATA_BITS, always_ready=True)),
                "o": Out(stream.Signature(PACKET)),
                "hello": Out(1),
                "open": Out(1),
                "nonce": Out(NONCE_BYTES * DATA_BITS),
                "expected": Out(NUMBER_BITS),
                "consumed": Out(NUMBER_BITS),
                "ack": Out(NUMBER_BITS),
                "acked": Out(1),
                "resend": Out(1),
                "status": Out(1),
                "gap": Out(1),
                "damaged": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = Decoder()
        m.submodules.crc = crc = frames.CRC.create()
        m.submodules.slots = memory = slots()
        m.submodules.unpacker = unpacker = ResetInserter(self.hello)(Unpacker(HEADER))
        write, read = memory.write_port(), memory.read_port()
        connect(m, wiring.flipped(self.i), decoder.i)
        connect(m, unpacker.o, wiring.flipped(self.o))

        # Every frame is written to the slot of the next DATA frame, and becomes that frame only if
        # it proves to be.
        offset = Signal(range(frames.MAX_BYTES + 2))  # one more than the longest frame: too long
        fits = offset <= frames.MAX_BYTES
        header = {name: register(DATA_BITS, name=name) for name in frames.TO_DEVICE_HEADER}
        nonce = register(NONCE_BYTES * DATA_BITS)
        free = Signal()
        place = Signal(ADDRESS)
        m.d.sync += free.eq(self.expected - self.consumed != Const(frames.SLOTS, NUMBER_BITS))
        m.d.comb += [
            crc.start.eq(decoder.end),
            crc.valid.eq(decoder.o.valid),
            crc.data.eq(decoder.o.payload),
            place.slot.eq(self.expected),
            place.offset.eq(offset),
            write.addr.eq(place),
            write.data.eq(decoder.o.payload),
            write.en.eq(decoder.o.valid & fits & free),
            unpacker.received.eq(self.expected),
            read.addr.eq(unpacker.address),
            unpacker.byte.eq(read.data),
            self.consumed.eq(unpacker.consumed),
            self.ack.eq(header["ack"]),
        ]
        with m.If(decoder.o.valid & fits):
            m.d.sync += offset.eq(offset + 1)
            with m.If(offset < HEADER + NONCE_BYTES):
                m.d.sync += nonce.eq(Cat(nonce[DATA_BITS:], decoder.o.payload))
            for position, field in enumerate(header.values()):
                with m.If(offset == position):
                    m.d.sync += field.eq(decoder.o.payload)

        # Judged in the cycle after its end.
        ended, good = Signal(), Signal()
        kind, length = header["kind"], Signal.like(offset)
        m.d.sync += [ended.eq(decoder.end), self.hello.eq(0)]
        with m.If(decoder.end):
            m.d.sync += [
                good.eq(decoder.whole & crc.match_detected & fits & (offset >= HEADER + CRC_BYTES)),
                length.eq(offset),
                offset.eq(0),
            ]
        lead = Signal(NUMBER_BITS)  # of its number over the expected one, modulo 256
        ahead = Signal()
        missing = Signal()
        unreported = Signal()  # no GAP since the last DATA frame
        m.d.comb += [
            lead.eq(header["number"] - self.expected),
            ahead.eq((lead != 0) & ~lead[-1]),
            self.damaged.eq(ended & ~good),
            self.gap.eq(missing & unreported),
        ]
        with m.If(missing):
            m.d.sync += unreported.eq(0)
        with m.If(ended & ~good):
            m.d.comb += missing.eq(self.open)
        with m.Elif(ended & (kind == ToDevice.HELLO)):
            m.d.sync += self.hello.eq(length == HEADER + NONCE_BYTES + CRC_BYTES)
        with m.Elif(ended & self.open):
            m.d.comb += [
                self.acked.eq(1),
                self.resend.eq(kind == ToDevice.RESEND),
                self.status.eq(kind == ToDevice.RESEND),
                missing.eq(ahead),
            ]
            with m.If(kind == ToDevice.DATA):
                with m.If((lead == 0) & free):
                    # The first byte of a slot is where its payload ends.
                    m.d.comb += [
                        place.offset.eq(0),
                        write.data.eq(length - CRC_BYTES),
                        write.en.eq(1),
                    ]
                    m.d.sync += [self.expected.eq(self.expected + 1), unreported.eq(1)]
                with m.Elif(~ahead):
                    m.d.comb += self.status.eq(1)
        with m.If(self.hello):
            m.d.sync += [
                self.open.eq(1),
                self.nonce.eq(nonce),
                self.expected.eq(0),
                unreported.eq(1),
            ]
        return m
