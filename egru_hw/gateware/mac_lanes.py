"""The multiply-accumulate lanes and their accumulators."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config, bits_for
from egru_hw.gateware.lane_slice import LaneSlice, operation_layout, slice_columns, sums_signature
from egru_hw.gateware.shapes import register
from egru_hw.gateware.tokens import Kind, job_layout, tag_layout
from egru_hw.gateware.unit import SUMS_LAYOUT
from egru_hw.gateware.weight_fetch import fetched_layout


class MacLanes(wiring.Component):
    """Multiplies rows of weights by their operand and adds to the accumulators.

    Lane ``3 * column + gate`` works for gate (r, z, n) of unit ``word * columns + column``.
    There are two banks of accumulators: while one is read by the unit update, events of the
    next step (or layer) are summed in the other.

    * ``i``: rows, one a cycle, added LaneSlice.LATENCY cycles later. Never stalls: the
      sequencer sends nothing after a marker until it has been taken, which also keeps events
      out of a bank that is still being read.
    * ``o``: the marker, after everything before it has been added.
    * ``sums``: see :func:`sums_signature`.
    * ``busy``: a row is being taken.
    """

    READ_LATENCY = LaneSlice.READ_LATENCY + 1

    def __init__(self, config: Config):
        self.config = config
        fetched = fetched_layout(
            row_bits=config.row_bits,
            pitch_bits=bits_for(config.max_pitch + 1),
            tag=tag_layout(config),
        )
        self.sums_layout = data.ArrayLayout(SUMS_LAYOUT, config.units_per_cycle)
        super().__init__(
            {
                "i": In(stream.Signature(fetched, always_ready=True)),
                "o": Out(stream.Signature(job_layout(config))),
                "sums": In(sums_signature(config)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        fetched = self.i.payload
        tag = fetched.tag
        operation = Signal(operation_layout(self.config))
        m.d.comb += [
            self.busy.eq(self.i.valid & (tag.job.kind == Kind.EVENT)),
            operation.active.eq(self.busy),
            operation.word.eq(fetched.word),
            operation.bank.eq(tag.job.bank),
            operation.operand.eq(fetched.operand),
            operation.source.eq(tag.source),
            operation.first_of_job.eq(tag.first_of_job),
            operation.first_of_source.eq(tag.first_of_source),
        ]

        slices = []
        for number in range(self.config.columns // slice_columns(self.config)):
            m.submodules[f"slice_{number}"] = part = LaneSlice(self.config, number)
            m.d.comb += [
                part.operation.eq(operation),
                part.row.eq(fetched.row.word_select(number, part.row_layout.size)),
                part.read.eq(self.sums.select),
            ]
            slices.append(part)
        # All slices but the selected one give 0.
        found = register(self.sums_layout)
        m.d.sync += found.eq(reduce(or_, (part.sums.as_value() for part in slices)))
        m.d.comb += self.sums.values.eq(found)

        marker = self.i.valid & (tag.job.kind != Kind.EVENT)
        markers = Signal(LaneSlice.LATENCY - 1)
        m.d.sync += markers.eq(Cat(marker, markers))
        with m.If(markers[-1]):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(marker):
            m.d.sync += self.o.payload.eq(tag.job)
        return m
