"""What must be true of the ``Inbox``, whatever arrives and however the accelerator stalls."""

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Elaboratable, Fragment, Module, Mux, Signal

from egru_hw.contract.protocol import VALUE_BITS, Command
from egru_hw.link.frames import CRC_BYTES, MAX_BYTES, SLOTS
from egru_hw.link.inbox import PAYLOAD, Inbox
from egru_hw.link.packing import HEAD_BYTES, MAX_PACKET_BYTES, SIZES
from egru_hw.link.slots import SLOT_BITS, in_slot
from tests.formal.prover import opened, registers, watched

SEND, TAKE = 1, 2  # numbers of states, in the order in which they are named


class InboxProperties(Elaboratable):
    """Packets are exactly the bytes that were committed, in order.

    One byte is watched, at any position of any slot: when it arrives, while its frame is stored,
    and when it is handed over in a packet.
    """

    def elaborate(self, platform):
        m = Module()
        inbox = Inbox()
        inside = opened(inbox)
        bytes, ends = inside.submodules.bytes, inside.submodules.ends
        slot, position, part = AnyConst(SLOT_BITS), AnyConst(8), AnyConst(3)
        stored_byte = watched(m, bytes, in_slot(slot, position))
        stored_end = watched(m, ends, slot)
        next_byte = watched(m, bytes, bytes.read_ports[0].addr)
        end = watched(m, ends, inbox.consumed[:SLOT_BITS])
        all_ends = [watched(m, ends, n) for n in range(SLOTS)]
        m.submodules.inbox = fragment = Fragment.get(inbox, None)
        inner = registers(fragment)
        place, count, free, state = (inner[n] for n in ("place", "count", "free", "fsm_state"))

        # Bytes of a frame arrive in order, and then perhaps the frame is committed.
        finish = Signal()
        m.d.comb += [
            inbox.i.valid.eq(AnySeq(1) & ~finish),
            inbox.i.payload.eq(AnySeq(8)),
            finish.eq(AnySeq(1)),
            inbox.commit.eq(finish & AnySeq(1) & (inbox.position <= MAX_BYTES)
                & (inbox.position >= PAYLOAD + CRC_BYTES)),
            inbox.end.eq(inbox.position - CRC_BYTES),
            inbox.o.ready.eq(AnySeq(1)),
            Assume(position >= PAYLOAD),
            Assume(part < MAX_PACKET_BYTES),
        ]  # fmt: skip
        with m.If(finish):
            m.d.sync += inbox.position.eq(0)
        with m.Elif(inbox.i.valid & (inbox.position <= MAX_BYTES)):
            m.d.sync += inbox.position.eq(inbox.position + 1)

        # Frames consumed to received - 1 are stored.
        waiting = Signal(8)
        offset = Signal(SLOT_BITS)
        held = Signal()
        filling = Signal()
        current = Signal()
        m.d.comb += [
            waiting.eq(inbox.received - inbox.consumed),
            offset.eq(slot - inbox.consumed),
            held.eq(offset < waiting),
            filling.eq(free & (inbox.position > position) & (inbox.received[:SLOT_BITS] == slot)),
            current.eq(held & (offset == 0)),
            Assert(waiting <= SLOTS),
        ]
        with m.If(free & (inbox.position != 0)):
            m.d.comb += Assert(waiting < SLOTS)

        arrived = Signal(8)
        kept = Signal(8)
        kept_end = Signal(8)
        with m.If(inbox.i.valid & (inbox.position == position)):
            m.d.sync += arrived.eq(inbox.i.payload)
        with m.If(filling):
            m.d.comb += Assert(stored_byte == arrived)
        with m.If(inbox.stored & (inbox.received[:SLOT_BITS] == slot)):
            m.d.sync += [kept.eq(arrived), kept_end.eq(inbox.end)]
        with m.If(held):
            m.d.comb += Assert(stored_end == kept_end)
            with m.If(position < kept_end):
                m.d.comb += Assert(stored_byte == kept)

        for n in range(SLOTS):
            with m.If((n - inbox.consumed)[:SLOT_BITS] < waiting):
                m.d.comb += Assert(all_ends[n] >= PAYLOAD)

        # Packets follow each other from the start of the payload to its end.
        start = Signal(8, init=PAYLOAD)
        given = Signal()
        size = Signal(range(MAX_PACKET_BYTES + 1))
        packet = inbox.o.payload
        raw = packet.as_value()
        m.d.comb += [
            given.eq(inbox.o.valid & inbox.o.ready),
            size.eq(Array(SIZES[Command])[packet.code]),
            Assert(place == start + count),
            Assert(count <= MAX_PACKET_BYTES),
            Assert(state <= TAKE),
        ]
        with m.If(given):
            m.d.sync += start.eq(start + size)
        with m.If(inbox.freed):
            m.d.comb += [Assert(place == end), Assert((count < HEAD_BYTES) | (count < size))]
            m.d.sync += start.eq(PAYLOAD)
        with m.If(waiting == 0):
            m.d.comb += [Assert(place == PAYLOAD), Assert(count == 0), Assert(state == 0)]
        with m.Else():
            m.d.comb += Assert(place <= end)
        with m.If(count > HEAD_BYTES):
            m.d.comb += Assert(count <= size)
        with m.If(state == TAKE):
            m.d.comb += [
                Assert(place < end),
                Assert(bytes.read_ports[0].data == next_byte),
                Assert((count < HEAD_BYTES) | (count < size)),
            ]
        with m.If(inbox.o.valid):
            m.d.comb += [Assert(count == size), Assert(count >= HEAD_BYTES)]
        m.d.comb += Assert(inbox.o.valid == (state == SEND))

        # A packet's bytes are those of the frame, and its value has their sign.
        order = [*range(VALUE_BITS, len(raw), 8), *range(0, VALUE_BITS, 8)]
        byte = Array(raw[n : n + 8] for n in order)[part]
        with m.If(current & (part < count) & (position == start + part) & (position < kept_end)):
            m.d.comb += Assert(byte == kept)
        with m.Switch(count):
            for done in range(1, MAX_PACKET_BYTES):
                with m.Case(done):
                    value = 8 * max(0, done - HEAD_BYTES)
                    sign = Mux(value and raw[value - 1], -1, 0) if value else 0
                    m.d.comb += Assert(packet.value[value:].as_signed() == sign)
        return m
