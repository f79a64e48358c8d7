"""The outbox: replies in payloads of DATA frames, until the host has acknowledged them."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import PACKET, VALUE_BITS, Reply
from egru_hw.link.cobs import BYTE
from egru_hw.link.frames import FROM_DEVICE_PAYLOAD
from egru_hw.link.packing import MAX_PACKET_BYTES, SIZES
from egru_hw.link.slots import SLOT_BITS, byte_memory, end_memory, full, in_slot

LAST_START = FROM_DEVICE_PAYLOAD - MAX_PACKET_BYTES
"""Last position in a payload at which any packet may begin."""


class Outbox(wiring.Component):
    """Packs replies into slots, a byte a cycle, and keeps them until they are acknowledged.

    * ``i``: replies.
    * ``begun``: a payload is being packed. It is closed when it is full, or when no other is
      waiting and the line is free.
    * ``waiting``: payload ``number`` is closed and can be sent; it is ``length`` bytes long.
      ``byte`` is the one at ``position``, a cycle later.
    * ``idle``: the line is free. Only then may ``number`` go back.
    * ``sent``: payload ``number`` has been sent.
    * ``acknowledge``: the payloads before number ``ack`` are not needed any more; ignored if that
      number is not among those kept. ``repeat``: send all others again.
    """

    i: In(stream.Signature(PACKET))
    begun: Out(1)
    waiting: Out(1)
    number: Out(BYTE)
    length: Out(BYTE)
    position: In(BYTE)
    byte: Out(BYTE)
    idle: In(1)
    sent: In(1)
    acknowledge: In(1)
    ack: In(BYTE)
    repeat: In(1)

    def elaborate(self, platform):
        m = Module()
        write, read = byte_memory(m)
        write_end, read_end = end_memory(m)
        newest = Signal(BYTE)  # number of the payload that is being packed
        oldest = Signal(BYTE)  # number of the first payload that is not acknowledged

        fill = Signal(BYTE)
        count = Signal(range(MAX_PACKET_BYTES))  # bytes of the packet that are packed
        whole = Signal()
        urgent = Signal()
        closing = Signal()
        packing = Signal()
        last = Signal()
        packet = self.i.payload
        raw = packet.as_value()
        parts = [*(raw[n : n + BYTE] for n in range(VALUE_BITS, len(raw), BYTE))]
        parts += [raw[n : n + BYTE] for n in range(0, VALUE_BITS, BYTE)]
        m.d.comb += [
            whole.eq(count == 0),
            self.begun.eq(fill != 0),
            urgent.eq(self.begun & self.idle & (self.number == newest)),
            closing.eq(whole & (urgent | (fill > LAST_START))),
            packing.eq(self.i.valid & ~closing & ~full(newest, oldest)),
            last.eq(count == Array(size - 1 for size in SIZES[Reply])[packet.code]),
            self.i.ready.eq(packing & last),
            write.addr.eq(in_slot(newest, fill)),
            write.data.eq(Array(parts)[count]),
            write.en.eq(packing),
            write_end.addr.eq(newest[:SLOT_BITS]),
            write_end.data.eq(fill),
            write_end.en.eq(closing),
        ]
        with m.If(closing):
            m.d.sync += [newest.eq(newest + 1), fill.eq(0)]
        with m.Elif(packing):
            m.d.sync += [fill.eq(fill + 1), count.eq(count + 1)]
            with m.If(last):
                m.d.sync += count.eq(0)

        # While payloads are being repeated, an acknowledgement may overtake `number`.
        again = Signal()
        overtaken = Signal()
        accepted = Signal()
        jump = Signal()
        acknowledged = Signal(BYTE)
        kept = Signal(BYTE)
        ready = Signal(BYTE)
        m.d.comb += [
            acknowledged.eq(self.ack - oldest),
            kept.eq(newest - oldest),
            ready.eq(self.number - oldest),
            accepted.eq(self.acknowledge & (acknowledged <= kept)),
            jump.eq((again | overtaken) & self.idle),
            self.waiting.eq((self.number != newest) & ~jump),
            read.addr.eq(in_slot(self.number, self.position)),
            self.byte.eq(read.data),
            read_end.addr.eq(self.number[:SLOT_BITS]),
            self.length.eq(read_end.data),
        ]
        with m.If(accepted):
            m.d.sync += oldest.eq(self.ack)
            with m.If(acknowledged > ready):
                m.d.sync += overtaken.eq(1)
        with m.If(jump):
            m.d.sync += [self.number.eq(oldest), again.eq(0), overtaken.eq(accepted)]
        with m.Elif(self.sent):
            m.d.sync += self.number.eq(self.number + 1)
        with m.If(self.repeat):
            m.d.sync += again.eq(1)
        return m
