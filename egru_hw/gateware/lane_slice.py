"""A slice of the lanes: a few columns of units, with their accumulators."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import GATE_COUNT, Config, bits_for
from egru_hw.gateware.shapes import register, shape
from egru_hw.gateware.tokens import Source
from egru_hw.gateware.unit import SUMS_LAYOUT
from golden.integer import GATES, SUM_TABLE, SUMS, numerics


def slice_columns(config: Config) -> int:
    """Columns of a slice: at least one group of units, and enough for a local selection."""
    return min(config.columns, max(config.units_per_cycle, 4))


def operation_layout(config: Config) -> data.StructLayout:
    """What every slice does in a cycle."""
    return data.StructLayout(
        {
            "active": 1,
            "word": bits_for(config.max_pitch),
            "bank": 1,
            "operand": shape(numerics.OPERAND),
            "source": Source,
            "first_of_job": 1,
            "first_of_source": 1,
        }
    )


def read_layout(config: Config) -> data.StructLayout:
    """Which sums are read, and whether any event added to them."""
    return data.StructLayout(
        {
            "word": bits_for(config.max_pitch),
            "slot": bits_for(config.columns // config.units_per_cycle),
            "bank": 1,
            "any_input": 1,
            "any_recurrent": 1,
        }
    )


def sums_signature(config: Config) -> wiring.Signature:
    """How the unit update reads sums: ``select`` names a group of units, and ``values`` are its
    sums, MacLanes.READ_LATENCY cycles later."""
    return wiring.Signature(
        {
            "select": Out(read_layout(config)),
            "values": In(data.ArrayLayout(SUMS_LAYOUT, config.units_per_cycle)),
        }
    )


class LaneSlice(wiring.Component):
    """``slice_columns`` columns of lanes, for one or more of the groups in a row.

    Slices share only broadcast signals, and register these at their inputs. On an FPGA, each
    slice can then be placed together with its copies; see ``boards/ecp5/flow.py``, which keeps
    synthesis from merging the copies. ``number`` counts slices from the first column.

    * ``operation``, ``row``: multiply this slice's part of a row of weights; summed three
      cycles later. One a cycle.
    * ``read``: two cycles later, ``sums`` has the group's sums, 0 where no event added to
      them; all 0 if the group is in another slice.
    """

    LATENCY = 3
    READ_LATENCY = 2

    def __init__(self, config: Config, number: int):
        self.config, self.number = config, number
        self.columns = slice_columns(config)
        self.row_layout = data.ArrayLayout(signed(config.weight_bits), self.columns * GATE_COUNT)
        super().__init__(
            {
                "operation": In(operation_layout(config)),
                "row": In(self.row_layout),
                "read": In(read_layout(config)),
                "sums": Out(data.ArrayLayout(SUMS_LAYOUT, config.units_per_cycle)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        accumulator = shape(numerics.ACCUMULATOR)
        columns, per_cycle = self.columns, self.config.units_per_cycle
        operation = operation_layout(self.config)
        first, second = register(operation, "first"), register(operation, "second")
        row = register(self.row_layout)
        products = register(data.ArrayLayout(accumulator, columns * GATE_COUNT))
        m.d.sync += [first.eq(self.operation), second.eq(first), row.eq(self.row)]
        for lane in range(columns * GATE_COUNT):
            m.d.sync += products[lane].eq(row[lane] * first.operand)

        read = register(read_layout(self.config))
        m.d.sync += read.eq(self.read)
        groups = columns // per_cycle
        inner_bits = (groups - 1).bit_length()
        inner = read.slot[:inner_bits] if inner_bits else 0
        selected = (read.slot >> inner_bits) == self.number
        found = register(data.ArrayLayout(SUMS_LAYOUT, per_cycle))
        m.d.comb += self.sums.eq(found)
        word = data.ArrayLayout(accumulator, columns)
        for name in SUMS:
            gate, sources = GATES.index(SUM_TABLE[name].gate), SUM_TABLE[name].sources
            shared = len(sources) > 1
            touched = reduce(or_, (read[f"any_{source}"] for source in sources))
            m.submodules[name] = sums = memory.Memory(
                shape=word, depth=2 << len(self.read.word), init=[]
            )
            # A registered read would add a cycle to the accumulation loop; memories this shallow
            # are LUT RAM, which can be read combinationally.
            old, new = sums.read_port(domain="comb"), sums.write_port()
            out = sums.read_port(domain="comb")
            overwrite = second.first_of_job if shared else second.first_of_source
            for_source = 1 if shared else second.source == getattr(Source, sources[0].upper())
            m.d.comb += [
                old.addr.eq(Cat(second.word, second.bank)),
                new.addr.eq(old.addr),
                new.en.eq(second.active & for_source),
                out.addr.eq(Cat(read.word, read.bank)),
            ]
            for column in range(columns):
                product = products[column * GATE_COUNT + gate]
                m.d.comb += new.data[column].eq(Mux(overwrite, 0, old.data[column]) + product)
            group = out.data.as_value().word_select(inner, per_cycle * accumulator.width)
            for unit in range(per_cycle):
                m.d.sync += found[unit][name].eq(
                    Mux(selected & touched, group.word_select(unit, accumulator.width), 0)
                )
        return m
