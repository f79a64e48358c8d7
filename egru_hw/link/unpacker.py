"""Commands from the payloads of DATA frames: see :mod:`egru_hw.link.packing`."""

from amaranth.hdl import Array, Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import CODE_BITS, PACKET, VALUE_BITS, Command
from egru_hw.gateware.shapes import register
from egru_hw.link.packing import HEAD_BYTES, MAX_PACKET_BYTES, SIZES
from egru_hw.link.slots import ADDRESS, NUMBER_BITS, OFFSET_BITS
from egru_hw.link.uart import DATA_BITS


class Unpacker(wiring.Component):
    """Reads frame after frame from its slot; a byte takes three cycles.

    * ``received``: number of the first frame that is not yet there.
    * ``address``, ``byte``: of the slots, read a cycle later.
    * ``o``: commands. An incomplete one at the end of a frame is dropped.
    * ``consumed``: number of the first frame whose commands have not all been taken.

    Args:
        begin: offset of the payload in a slot.
    """

    def __init__(self, begin: int):
        self.begin = begin
        super().__init__(
            {
                "received": In(NUMBER_BITS),
                "address": Out(ADDRESS),
                "byte": In(DATA_BITS),
                "o": Out(stream.Signature(PACKET)),
                "consumed": Out(NUMBER_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        offset = Signal(OFFSET_BITS)
        end = register(OFFSET_BITS)
        count = Signal(range(MAX_PACKET_BYTES + 1))  # bytes of the packet so far
        head = register(HEAD_BYTES * DATA_BITS)
        value = register(VALUE_BITS)
        sizes = Array(Const(size, range(MAX_PACKET_BYTES + 1)) for size in SIZES[Command])
        size = sizes[head[-CODE_BITS:]]
        m.d.comb += [
            self.address.slot.eq(self.consumed),
            self.address.offset.eq(offset),
            Cat(self.o.payload.index, self.o.payload.code).eq(head),
        ]
        # A value's bytes enter at the top, so that those of a short one are the upper bytes.
        with m.Switch(size):
            for total in sorted({*SIZES[Command]} - {HEAD_BYTES}):
                with m.Case(total):
                    m.d.comb += self.o.payload.value.eq(
                        value[-DATA_BITS * (total - HEAD_BYTES) :].as_signed()
                    )
        with m.FSM():
            with m.State("ADDRESS"):
                with m.If(self.consumed == self.received):
                    m.d.sync += offset.eq(0)
                with m.Elif((offset != 0) & (offset == end)):
                    m.d.sync += [self.consumed.eq(self.consumed + 1), offset.eq(0), count.eq(0)]
                with m.Else():
                    m.next = "BYTE"
            with m.State("BYTE"):
                with m.If(offset == 0):
                    m.d.sync += [end.eq(self.byte), offset.eq(self.begin)]
                with m.Else():
                    m.d.sync += [offset.eq(offset + 1), count.eq(count + 1)]
                    with m.If(count < HEAD_BYTES):
                        m.d.sync += head.eq(Cat(head[DATA_BITS:], self.byte))
                    with m.Else():
                        m.d.sync += value.eq(Cat(value[DATA_BITS:], self.byte))
                m.next = "SIZE"
            with m.State("SIZE"):
                m.next = "ADDRESS"
                with m.If((count >= HEAD_BYTES) & (count == size)):
                    m.next = "PACKET"
            with m.State("PACKET"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += count.eq(0)
                    m.next = "ADDRESS"
        return m
