"""Frames to the host: replies gathered in slots, sent, and kept until they are acknowledged."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import PACKET, VERSION, Reply
from egru_hw.gateware.shapes import register
from egru_hw.link import frames
from egru_hw.link.cobs import ReverseEncoder
from egru_hw.link.frames import CRC_BYTES, NONCE_BYTES, FromDevice
from egru_hw.link.packing import MAX_PACKET_BYTES, SIZES
from egru_hw.link.slots import ADDRESS, NUMBER_BITS, OFFSET_BITS, slots
from egru_hw.link.uart import DATA_BITS

BEGIN = 1  # of the payload in a slot
FULL = BEGIN + frames.FROM_DEVICE_PAYLOAD - MAX_PACKET_BYTES


class Transmitter(wiring.Component):
    """The device's part of docs/link.md for frames that it sends. It is reset by each greeting.

    * ``i``: replies. ``o``: bytes for the line.
    * ``open``, ``nonce``, ``expected``, ``consumed``, ``ack``, ``acked``, ``resend``, ``status``,
      ``gap``: see ``Receiver``.

    Args:
        identity: of the accelerator, in the answer to a greeting.
    """

    def __init__(self, identity: int):
        self.identity = identity
        super().__init__(
            {
                "i": In(stream.Signature(PACKET)),
                "o": Out(stream.Signature(DATA_BITS)),
                "open": In(1),
                "nonce": In(NONCE_BYTES * DATA_BITS),
                "expected": In(NUMBER_BITS),
                "consumed": In(NUMBER_BITS),
                "ack": In(NUMBER_BITS),
                "acked": In(1),
                "resend": In(1),
                "status": In(1),
                "gap": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.slots = memory = slots()
        filling = Signal(NUMBER_BITS)  # number of the frame that replies go into
        sending = Signal(NUMBER_BITS)  # number of the next DATA frame to be sent
        oldest = Signal(NUMBER_BITS)  # number of the first one that is not acknowledged
        idle = Signal()  # nothing to send but what is being filled
        self._fill(m, memory.write_port(), filling, oldest, idle)
        self._send(m, memory.read_port(), filling, sending, idle)

        # An acknowledgement of what was never filled is not believed.
        released = Signal(NUMBER_BITS)
        believed = Signal()
        m.d.comb += [
            released.eq(self.ack - oldest),
            believed.eq(self.acked & (released <= (filling - oldest)[:NUMBER_BITS])),
        ]
        with m.If(believed):
            m.d.sync += oldest.eq(self.ack)
            with m.If(self.resend | (released > (sending - oldest)[:NUMBER_BITS])):
                m.d.sync += sending.eq(self.ack)
        return m

    def _fill(self, m: Module, write, filling: Signal, oldest: Signal, idle: Signal) -> None:
        """Write replies into the slot of frame ``filling``; close it when full or ``idle``."""
        offset = Signal(OFFSET_BITS, init=BEGIN)
        free = Signal()
        place = Signal(ADDRESS)
        packet = register(PACKET.size)
        left = Signal(range(MAX_PACKET_BYTES + 1))
        sizes = Array(Const(size, range(MAX_PACKET_BYTES + 1)) for size in SIZES[Reply])
        reply = self.i.payload
        # One cycle late: a slot becomes free later, and not free only by the end of a frame.
        m.d.sync += free.eq(filling - oldest != Const(frames.SLOTS, NUMBER_BITS))
        m.d.comb += [place.slot.eq(filling), place.offset.eq(offset), write.addr.eq(place)]
        with m.FSM():
            with m.State("SLOT"):  # waits for a free one
                with m.If(free):
                    m.next = "REPLY"
            with m.State("REPLY"):
                m.d.sync += [
                    packet.eq(Cat(reply.index, reply.code, reply.value)),
                    left.eq(sizes[reply.code]),
                ]
                with m.If((offset != BEGIN) & (idle | (offset > FULL))):
                    m.next = "CLOSE"
                with m.Else():
                    m.d.comb += self.i.ready.eq(1)
                    with m.If(self.i.valid):
                        m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += [write.en.eq(1), write.data.eq(packet)]
                m.d.sync += [packet.eq(packet >> DATA_BITS), left.eq(left - 1)]
                m.d.sync += offset.eq(offset + 1)
                with m.If(left == 1):
                    m.next = "REPLY"
            with m.State("CLOSE"):  # the first byte of a slot is where its payload ends
                m.d.comb += [write.en.eq(1), write.data.eq(offset), place.offset.eq(0)]
                m.d.sync += [filling.eq(filling + 1), offset.eq(BEGIN)]
                m.next = "CLOSED"
            with m.State("CLOSED"):  # until `free` is that of the next slot
                m.next = "SLOT"

    def _send(self, m: Module, read, filling: Signal, sending: Signal, idle: Signal) -> None:
        """Send what is due: WELCOME, GAP, DATA, STATUS, padding, in this order."""
        m.submodules.encoder = encoder = ReverseEncoder()
        m.submodules.crc = crc = frames.CRC.create()
        status, gap = Signal(), Signal()
        header = {name: register(DATA_BITS, name=name) for name in frames.FROM_DEVICE_HEADER}
        kind = header["kind"]
        told = Signal(2 * NUMBER_BITS)
        place = Signal(ADDRESS)
        offset = Signal(OFFSET_BITS)
        end = register(OFFSET_BITS)
        position = Signal(range(max(len(header), CRC_BYTES)))
        padding = Signal(range(frames.PADDING + 1))
        welcome = Cat(
            Const(0, BEGIN * DATA_BITS),
            self.nonce,
            Const(VERSION, DATA_BITS),
            Const(self.identity, frames.IDENTITY_BYTES * DATA_BITS),
        )
        byte = encoder.i.payload.byte
        taken = Signal()
        news = Cat(self.expected, self.consumed)
        m.d.comb += [
            place.slot.eq(header["number"]),
            place.offset.eq(offset),
            read.addr.eq(place),
            taken.eq(encoder.i.valid & encoder.i.ready),
            crc.data.eq(byte),
        ]

        def frame(kind: FromDevice, number) -> None:
            m.d.sync += [
                header["kind"].eq(kind),
                header["number"].eq(number),
                header["ack"].eq(self.expected),
                header["consumed"].eq(self.consumed),
                told.eq(news),
                status.eq(0),
                offset.eq(0),
                position.eq(0),
                padding.eq(frames.PADDING),
            ]
            m.next = "SLOT"

        # Bytes of a frame pass the encoder; the zeros of padding do not.
        zero = Signal()
        m.d.comb += [
            self.o.valid.eq(encoder.o.valid | zero),
            self.o.payload.eq(Mux(zero, 0, encoder.o.payload)),
            encoder.o.ready.eq(self.o.ready),
        ]
        with m.FSM():
            with m.State("CLOSED"):
                with m.If(self.open):
                    m.next = "BREAK"
            with m.State("BREAK"):  # ends a frame that the greeting interrupted
                m.d.comb += zero.eq(1)
                with m.If(self.o.ready):
                    frame(FromDevice.WELCOME, 0)
            with m.State("NEXT"):
                with m.If(encoder.idle & gap):
                    m.d.sync += gap.eq(0)
                    frame(FromDevice.GAP, sending)
                with m.Elif(encoder.idle & (sending != filling)):
                    m.d.sync += sending.eq(sending + 1)
                    frame(FromDevice.DATA, sending)
                with m.Elif(encoder.idle):
                    m.d.comb += idle.eq(1)
                    with m.If(status | (told != news)):
                        frame(FromDevice.STATUS, sending)
                    with m.Elif(padding != 0):
                        m.d.comb += zero.eq(1)
                        with m.If(self.o.ready):
                            m.d.sync += padding.eq(padding - 1)
            with m.State("SLOT"):  # its first byte is being read
                m.next = "END"
            with m.State("END"):
                m.d.sync += end.eq(BEGIN)
                with m.If(kind == FromDevice.DATA):
                    m.d.sync += end.eq(read.data)
                with m.If(kind == FromDevice.WELCOME):
                    m.d.sync += end.eq(BEGIN + frames.WELCOME_BYTES)
                m.d.sync += offset.eq(BEGIN)
                m.d.comb += crc.start.eq(1)
                m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [
                    byte.eq(Array(header.values())[position]),
                    encoder.i.valid.eq(1),
                    crc.valid.eq(taken),
                ]
                with m.If(taken):
                    m.d.sync += position.eq(position + 1)
                    with m.If(position == len(header) - 1):
                        m.d.sync += position.eq(0)
                        m.next = "READ"
            with m.State("READ"):
                m.next = "PAYLOAD"
                with m.If(offset == end):
                    m.next = "CRC"
            with m.State("PAYLOAD"):
                m.d.comb += [
                    byte.eq(read.data),
                    encoder.i.valid.eq(1),
                    crc.valid.eq(taken),
                ]
                with m.If(kind == FromDevice.WELCOME):
                    m.d.comb += byte.eq(welcome.word_select(offset, DATA_BITS))
                with m.If(taken):
                    m.d.sync += offset.eq(offset + 1)
                    m.next = "READ"
            with m.State("CRC"):
                m.d.comb += [
                    byte.eq(crc.crc.word_select(position, DATA_BITS)),
                    encoder.i.valid.eq(1),
                    encoder.i.payload.last.eq(position == CRC_BYTES - 1),
                ]
                with m.If(taken):
                    m.d.sync += position.eq(position + 1)
                    with m.If(encoder.i.payload.last):
                        m.next = "NEXT"
        with m.If(self.status):
            m.d.sync += status.eq(1)
        with m.If(self.gap):
            m.d.sync += gap.eq(1)
