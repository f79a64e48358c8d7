"""The weight store: rows of weights behind streams, so that any memory can be used."""

from amaranth.hdl import Module
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import bits_for
from egru_hw.gateware.shapes import register


def write_layout(address_bits: int, width: int) -> data.StructLayout:
    """A word and where it is stored."""
    return data.StructLayout({"data": width, "address": address_bits})


def write_signature(address_bits: int, width: int) -> stream.Signature:
    """A stream of words to be stored; shared by every memory that the host loads."""
    return stream.Signature(write_layout(address_bits, width))


class WeightStore(wiring.Component):
    """What the accelerator requires of the memory that holds its weights.

    Another memory derives from this class and is passed to the accelerator, which builds it as
    ``store(width=..., depth=..., init=...)``.

    * ``request``: address of a row. Registers that describe no model cause requests beyond
      ``depth``: these are answered too, with any row.
    * ``row``: its bits. Rows leave in the order of their requests, after any number of cycles.
    * ``write``: a row to be stored, before every later request is answered. The host waits while
      it is not ready, and issues no request meanwhile.

    A reset of the domain ``sync``, at any time and for one cycle, discards all requests, but no
    row that is stored.

    Args:
        width: bits of a row.
        depth: rows.
        init: their contents at power-up; zero where they are missing.
    """

    def __init__(self, *, width: int, depth: int, init=()):
        self.width, self.depth, self.init = width, depth, init
        address_bits = bits_for(depth)
        super().__init__(
            {
                "request": In(stream.Signature(address_bits)),
                "row": Out(stream.Signature(width)),
                "write": In(write_signature(address_bits, width)),
            }
        )


class OnChipWeightStore(WeightStore):
    """Rows of weights in block RAM: one row a cycle, one cycle after its request.

    A write is always accepted; requests wait that cycle.
    """

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = memory.Memory(shape=self.width, depth=self.depth, init=self.init)
        write, read = rows.write_port(), rows.read_port(domain="comb")
        row = register(self.width)
        m.d.comb += [
            write.addr.eq(self.write.payload.address),
            write.data.eq(self.write.payload.data),
            write.en.eq(self.write.valid),
            self.write.ready.eq(1),
            read.addr.eq(self.request.payload),
            self.row.payload.eq(row),
            self.request.ready.eq((~self.row.valid | self.row.ready) & ~self.write.valid),
        ]
        # Block RAM. Reads and writes never coincide, and this form makes that clear to synthesis:
        # otherwise, returning the old row would cost a register per bit.
        with m.If(self.request.ready):
            m.d.sync += row.eq(read.data)
        with m.If(~self.row.valid | self.row.ready):
            m.d.sync += self.row.valid.eq(self.request.valid & self.request.ready)
        return m
