"""Sparse weight fetch: only events read weights, and each reads its own rows."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import bits_for
from egru_hw.gateware.shapes import multiple, register, shape
from golden.integer import numerics

IN_FLIGHT = 8  # rows requested and not yet used; covers the latency of the store


def work_layout(*, address_bits: int, index_bits: int, pitch_bits: int, tag) -> data.StructLayout:
    """An event (``fetch`` set): the location of its rows, its value and alignment shift;
    or a marker, which uses only ``tag``."""
    return data.StructLayout(
        {
            "fetch": 1,
            "base": address_bits,
            "index": index_bits,
            "pitch": pitch_bits,
            "value": shape(numerics.OPERAND),
            "alignment": bits_for(numerics.MAX_ALIGNMENT + 1),
            "tag": tag,
        }
    )


def fetched_layout(*, row_bits: int, pitch_bits: int, tag) -> data.StructLayout:
    """A row (meaningless for markers), its number in its event, and its operand."""
    return data.StructLayout(
        {
            "fetch": 1,
            "row": row_bits,
            "word": pitch_bits,
            "operand": shape(numerics.OPERAND),
            "tag": tag,
        }
    )


class WeightFetch(wiring.Component):
    """Turns events into rows of weights, each with the operand that multiplies it.

    * ``i``: an event, which needs ``pitch`` rows from ``base + index * pitch`` on; or a marker,
      which needs none. A pitch of 0, which no model has, counts as ``2**pitch_bits``.
    * ``request``, ``row``: to a weight store.
    * ``o``: for an event ``pitch`` elements, counted by ``word``; for a marker one element.
      In order, one a cycle while the store keeps up; four cycles from ``i`` with the on-chip
      store. A stall of ``o`` reaches ``i`` once IN_FLIGHT elements wait.
    * ``waiting``: waits for the next row.
    """

    def __init__(self, *, address_bits: int, row_bits: int, index_bits: int, pitch_bits: int, tag):
        self.address_bits, self.pitch_bits = address_bits, pitch_bits
        operand = shape(numerics.OPERAND)
        self.pending_layout = data.StructLayout(
            {"fetch": 1, "word": pitch_bits, "operand": operand, "tag": tag}
        )
        work = work_layout(
            address_bits=address_bits, index_bits=index_bits, pitch_bits=pitch_bits, tag=tag
        )
        fetched = fetched_layout(row_bits=row_bits, pitch_bits=pitch_bits, tag=tag)
        super().__init__(
            {
                "i": In(stream.Signature(work)),
                "request": Out(stream.Signature(address_bits)),
                "row": In(stream.Signature(row_bits)),
                "o": Out(stream.Signature(fetched)),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Two pipeline registers with handshakes: the location of an event's rows, and the walk
        # along them. Then the queue of requested rows.
        m.submodules.pending = pending = fifo.SyncFIFO(
            width=self.pending_layout.size, depth=IN_FLIGHT
        )

        event = register(self.i.payload.shape())
        offset = register(self.address_bits)
        operand = register(shape(numerics.OPERAND))
        located = Signal()
        walk = register(self.pending_layout)
        address = register(self.address_bits)
        last_word = register(self.pitch_bits)
        walking = Signal()

        stepped = Signal()  # an element leaves for the queue
        take = Signal()  # the walk accepts the located event
        finished = ~walk.fetch | (walk.word == last_word)
        m.d.comb += [
            self.i.ready.eq(~located | take),
            take.eq(~walking | (stepped & finished)),
            stepped.eq(walking & pending.w_rdy & (self.request.ready | ~walk.fetch)),
            self.request.valid.eq(walking & pending.w_rdy & walk.fetch),
            self.request.payload.eq(address),
            pending.w_en.eq(stepped),
            pending.w_data.eq(walk),
        ]
        with m.If(self.i.ready):
            m.d.sync += [
                located.eq(self.i.valid),
                event.eq(self.i.payload),
                offset.eq(multiple(self.i.payload.index, self.i.payload.pitch)),
                operand.eq(self.i.payload.value << self.i.payload.alignment),
            ]
        with m.If(take):
            m.d.sync += [
                walking.eq(located),
                address.eq(event.base + offset),
                last_word.eq(event.pitch - 1),
                walk.fetch.eq(event.fetch),
                walk.word.eq(0),
                walk.operand.eq(operand),
                walk.tag.eq(event.tag),
            ]
        with m.Elif(stepped):
            m.d.sync += [address.eq(address + 1), walk.word.eq(walk.word + 1)]

        head = data.View(self.pending_layout, pending.r_data)
        m.d.comb += [
            self.o.payload.fetch.eq(head.fetch),
            self.o.payload.row.eq(self.row.payload),
            self.o.payload.word.eq(head.word),
            self.o.payload.operand.eq(head.operand),
            self.o.payload.tag.eq(head.tag),
            self.o.valid.eq(pending.r_rdy & (self.row.valid | ~head.fetch)),
            pending.r_en.eq(self.o.valid & self.o.ready),
            self.row.ready.eq(pending.r_rdy & head.fetch & self.o.ready),
            self.waiting.eq(pending.r_rdy & head.fetch & ~self.row.valid),
        ]
        return m
