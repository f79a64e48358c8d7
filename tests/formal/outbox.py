"""What must be true of the ``Outbox``, whatever the replies and acknowledgements."""

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Elaboratable, Fragment, Module, Signal

from egru_hw.contract.protocol import VALUE_BITS, Reply
from egru_hw.link.frames import FROM_DEVICE_PAYLOAD
from egru_hw.link.outbox import Outbox
from egru_hw.link.packing import MAX_PACKET_BYTES, SIZES
from egru_hw.link.slots import SLOT_BITS, in_slot
from tests.formal.prover import opened, registers, watched


class OutboxProperties(Elaboratable):
    """Payloads are whole replies in order, and stay the same until they are acknowledged.

    One byte is watched, at any position of any slot.
    """

    def elaborate(self, platform):
        m = Module()
        outbox = Outbox()
        inside = opened(outbox)
        bytes, ends = inside.submodules.bytes, inside.submodules.ends
        write = bytes.write_ports[0]
        slot, position, part = AnyConst(SLOT_BITS), AnyConst(8), AnyConst(3)
        stored_byte = watched(m, bytes, in_slot(slot, position))
        stored_end = watched(m, ends, slot)
        part_address = Signal(len(write.addr))
        packed_byte = watched(m, bytes, part_address)
        m.submodules.outbox = fragment = Fragment.get(outbox, None)
        inner = registers(fragment)
        names = ("newest", "oldest", "fill", "count", "overtaken")
        newest, oldest, fill, count, overtaken = (inner[name] for name in names)

        # The accelerator keeps its reply until it is taken; the transmitter sends what is waiting.
        packet, packet_before, stalled = outbox.i.payload.as_value(), Signal(48), Signal()
        begins, sends = AnySeq(1), Signal()
        m.d.comb += [
            outbox.i.valid.eq(AnySeq(1)),
            packet.eq(AnySeq(48)),
            outbox.idle.eq(AnySeq(1) & ~sends),
            outbox.sent.eq(AnySeq(1) & sends),
            outbox.position.eq(AnySeq(8)),
            outbox.acknowledge.eq(AnySeq(1)),
            outbox.ack.eq(AnySeq(8)),
            outbox.repeat.eq(AnySeq(1)),
            Assume(part < MAX_PACKET_BYTES),
        ]
        m.d.sync += [
            stalled.eq(outbox.i.valid & ~outbox.i.ready),
            packet_before.eq(packet),
        ]
        with m.If(stalled):
            m.d.comb += [Assume(outbox.i.valid), Assume(packet == packet_before)]
        with m.If(outbox.idle & outbox.waiting & begins):
            m.d.sync += sends.eq(1)
        with m.If(outbox.sent):
            m.d.sync += sends.eq(0)

        # Payloads oldest to newest - 1 are kept.
        kept_count = Signal(8)
        ahead = Signal(8)
        offset = Signal(SLOT_BITS)
        held = Signal()
        m.d.comb += [
            kept_count.eq(newest - oldest),
            ahead.eq(outbox.number - oldest),
            offset.eq(slot - oldest),
            held.eq(offset < kept_count),
            Assert(kept_count <= 1 << SLOT_BITS),
        ]
        with m.If(~overtaken):
            m.d.comb += Assert(ahead <= kept_count)
            with m.If(sends):
                m.d.comb += Assert(ahead < kept_count)
        with m.If(outbox.idle & outbox.waiting):
            m.d.comb += Assert(ahead < kept_count)
        with m.If(write.en):
            m.d.comb += Assert(kept_count < 1 << SLOT_BITS)

        # What is kept does not change, and is what is read.
        closed = ends.write_ports[0].en
        kept = Signal(8)
        kept_end = Signal(8)
        with m.If(closed & (newest[:SLOT_BITS] == slot)):
            m.d.sync += [kept.eq(stored_byte), kept_end.eq(fill)]
        with m.If(held):
            m.d.comb += Assert(stored_end == kept_end)
            with m.If(position < kept_end):
                m.d.comb += Assert(stored_byte == kept)
        asked = Signal()
        this = held & (outbox.number[:SLOT_BITS] == slot)
        m.d.sync += asked.eq(this & (outbox.position == position) & (position < kept_end))
        kept_before = Signal(8)
        m.d.sync += kept_before.eq(kept)
        with m.If(asked):
            m.d.comb += Assert(outbox.byte == kept_before)
        with m.If(this):
            m.d.comb += Assert(outbox.length == kept_end)

        # From each payload to the next, or back to the first that is kept.
        was, first, was_sent, was_idle = Signal(8), Signal(8), Signal(), Signal()
        m.d.sync += [
            was.eq(outbox.number),
            first.eq(oldest),
            was_sent.eq(outbox.sent),
            was_idle.eq(outbox.idle),
        ]
        with m.If(outbox.number != was):
            m.d.comb += Assert(
                (was_sent & (outbox.number == (was + 1)[:8]))
                | (was_idle & (outbox.number == first))
            )

        # Replies are packed one behind the other, and none is divided.
        size = Signal(range(MAX_PACKET_BYTES + 1))
        total = Signal(8)
        taken = Signal()
        m.d.comb += [
            size.eq(Array(SIZES[Reply])[outbox.i.payload.code]),
            taken.eq(outbox.i.valid & outbox.i.ready),
            part_address.eq(in_slot(newest, (fill - count + part)[:8])),
            Assert(fill == total + count),
            Assert(fill <= FROM_DEVICE_PAYLOAD),
        ]
        with m.If(count != 0):
            m.d.comb += [
                Assert(stalled),
                Assert(count < size),
                Assert(total <= FROM_DEVICE_PAYLOAD - MAX_PACKET_BYTES),
            ]
        with m.If(fill != 0):
            m.d.comb += Assert(kept_count < 1 << SLOT_BITS)
        with m.If(taken):
            m.d.sync += total.eq(total + size)
        with m.If(closed):
            m.d.comb += [Assert(count == 0), Assert(fill != 0), Assert(~taken)]
            m.d.sync += total.eq(0)
        order = [*range(VALUE_BITS, len(packet), 8), *range(0, VALUE_BITS, 8)]
        byte = Array(packet[n : n + 8] for n in order)[part]
        with m.If(part < count):
            m.d.comb += Assert(packed_byte == byte)
        with m.If(taken):
            m.d.comb += [Assert(count == size - 1), Assert(write.en)]
            with m.If(part == count):
                m.d.comb += [Assert(write.addr == part_address), Assert(write.data == byte)]
        return m
