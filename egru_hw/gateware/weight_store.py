"""Where weights live: rows behind a stream of requests, so that any memory can take the place."""

from amaranth.hdl import Module
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import bits_for
from egru_hw.gateware.shapes import register


def write_layout(address_bits: int, width: int) -> data.StructLayout:
    """What is written where; shared by every memory that the host loads."""
    return data.StructLayout({"data": width, "address": address_bits})


class OnChipWeightStore(wiring.Component):
    """Rows of weights in block RAM.

    Any component with this ``request`` and ``row`` can stand in: rows are answered in the
    order of their requests, after any number of cycles.

    * ``request``: address of a row.
    * ``row``: its bits, one cycle later; one row a cycle.
    * ``write``: store a row. Never stalls; requests wait meanwhile.
    """

    def __init__(self, *, width: int, depth: int, init=()):
        self.width, self.depth, self.init = width, depth, init
        address_bits = bits_for(depth)
        super().__init__(
            {
                "request": In(stream.Signature(address_bits)),
                "row": Out(stream.Signature(width)),
                "write": In(stream.Signature(write_layout(address_bits, width), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = memory.Memory(shape=self.width, depth=self.depth, init=self.init)
        write, read = rows.write_port(), rows.read_port(domain="comb")
        row = register(self.width)
        m.d.comb += [
            write.addr.eq(self.write.payload.address),
            write.data.eq(self.write.payload.data),
            write.en.eq(self.write.valid),
            read.addr.eq(self.request.payload),
            self.row.payload.eq(row),
            self.request.ready.eq((~self.row.valid | self.row.ready) & ~self.write.valid),
        ]
        # Block RAM. Reading never meets writing, and is written such that synthesis sees it:
        # a memory that must answer with the old row then costs a register for each of its bits.
        with m.If(self.request.ready):
            m.d.sync += row.eq(read.data)
        with m.If(~self.row.valid | self.row.ready):
            m.d.sync += self.row.valid.eq(self.request.valid & self.request.ready)
        return m
