"""The multiply-accumulate lanes and their accumulators."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.config import GATES, Config, bits_for
from egru_hw.shapes import shape
from egru_hw.tokens import Kind, Source, job_layout, tag_layout
from egru_hw.weight_fetch import fetched_layout
from golden import numerics
from golden.integer import SUMS

def sums_layout(config: Config) -> data.StructLayout:
    """A word of the accumulators: the sums of ``columns`` units."""
    columns = data.ArrayLayout(shape(numerics.ACCUMULATOR), config.columns)
    return data.StructLayout({name: columns for name in SUMS})


class MacLanes(wiring.Component):
    """Multiplies rows of weights by their operand and adds to the accumulators.

    Lane ``3 * column + gate`` works for gate (r, z, n) of unit ``word * columns + column``.
    There are two banks of accumulators: while one is read by the unit update, events of the
    next step (or layer) are summed in the other.

    * ``i``: rows, one a cycle, summed three cycles later. Never stalls: the sequencer sends
      nothing behind a marker until that has been taken, which also keeps events away from a
      bank that is still being read.
    * ``o``: the marker, when everything before it has been summed.
    * ``read_bank``, ``read_word``, ``read_sums``: a word of a bank, in the same cycle.
    * ``busy``: a row is being taken.
    """

    def __init__(self, config: Config):
        self.config = config
        self.word_bits = bits_for(config.max_pitch)
        fetched = fetched_layout(
            row_bits=config.row_bits,
            pitch_bits=bits_for(config.max_pitch + 1),
            tag=tag_layout(config),
        )
        super().__init__(
            {
                "i": In(stream.Signature(fetched, always_ready=True)),
                "o": Out(stream.Signature(job_layout(config))),
                "read_bank": In(1),
                "read_word": In(self.word_bits),
                "read_sums": Out(sums_layout(config)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        weights = data.ArrayLayout(signed(config.weight_bits), config.lanes)
        stages = [
            Signal(data.StructLayout({"word": self.word_bits, "tag": tag_layout(config)}))
            for _ in range(2)
        ]
        active = [Signal(name=f"active_{n}") for n in range(2)]
        row = Signal(weights)
        operand = Signal(shape(numerics.OPERAND))
        products = Signal(data.ArrayLayout(shape(numerics.ACCUMULATOR), config.lanes))

        fetched = self.i.payload
        is_marker = fetched.tag.job.kind != Kind.EVENT
        m.d.comb += self.busy.eq(self.i.valid & ~is_marker)

        m.d.sync += [
            active[0].eq(self.i.valid),
            active[1].eq(active[0]),
            stages[0].word.eq(fetched.word),
            stages[0].tag.eq(fetched.tag),
            stages[1].eq(stages[0]),
            row.eq(fetched.row),
            operand.eq(fetched.operand),
        ]
        for lane in range(config.lanes):
            m.d.sync += products[lane].eq(row[lane] * operand)

        word, tag = stages[1].word, stages[1].tag
        add = active[1] & (tag.job.kind == Kind.EVENT)
        with m.If(active[1] & (tag.job.kind != Kind.EVENT)):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(tag.job)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        for name in SUMS:
            gate = min(SUMS.index(name), GATES - 1)
            m.submodules[name] = sums = memory.Memory(
                shape=sums_layout(config)[name].shape, depth=2 << self.word_bits, init=[]
            )
            # Registered read ports would cost a cycle in the sum's loop; at these depths the
            # asynchronous read is a look-up table.
            old, read = sums.read_port(domain="comb"), sums.read_port(domain="comb")
            new = sums.write_port()
            address = Cat(word, tag.job.bank)
            overwrite = tag.first_of_job if name in "rz" else tag.first_of_source
            enable = {
                "p": tag.source == Source.INPUT,
                "q": tag.source == Source.RECURRENT,
            }.get(name, 1)
            m.d.comb += [
                old.addr.eq(address),
                new.addr.eq(address),
                new.en.eq(add & enable),
                read.addr.eq(Cat(self.read_word, self.read_bank)),
                self.read_sums[name].eq(read.data),
            ]
            for column in range(config.columns):
                m.d.comb += new.data[column].eq(
                    Mux(overwrite, 0, old.data[column]) + products[column * GATES + gate]
                )
        return m
