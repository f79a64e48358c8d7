"""Replies to the host: spikes as replies, and forks and merges of streams."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config
from egru_hw.contract.protocol import PACKET, Reply
from egru_hw.contract.registers import register_layout
from egru_hw.gateware.tokens import Kind, spike_layout


class SpikeReporter(wiring.Component):
    """Reports events, if the register ``report_events`` is set, and completed steps to the host.

    * ``i``: spikes. ``o``: EVENT and STEP replies, in the same cycle; a stall of ``o`` stalls
      ``i`` unless there is nothing to report.
    * ``step``: a step has been completed.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "registers": In(register_layout(config)),
                "i": In(stream.Signature(spike_layout(config))),
                "o": Out(stream.Signature(PACKET)),
                "step": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spike, reply = self.i.payload, self.o.payload
        is_step = (spike.kind == Kind.UPDATE) & (spike.layer == self.registers.last_layer)
        is_event = spike.kind == Kind.EVENT
        reported = is_step | (is_event & self.registers.report_events)
        first_unit = (
            Array(self.registers.layers)[spike.layer].first_group * self.config.units_per_cycle
        )
        with m.If(is_event):
            m.d.comb += [
                reply.code.eq(Reply.EVENT),
                reply.index.eq(first_unit + spike.unit),
                reply.value.eq(spike.value),
            ]
        with m.Else():
            m.d.comb += reply.code.eq(Reply.STEP)
        m.d.comb += [
            self.o.valid.eq(self.i.valid & reported),
            self.i.ready.eq(self.o.ready | ~reported),
            self.step.eq(self.i.valid & self.i.ready & is_step),
        ]
        return m


class Fork(wiring.Component):
    """Copies a stream to ``count`` others, which take each element in the same cycle."""

    def __init__(self, shape, count: int):
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)).array(count),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(Cat(sink.ready for sink in self.o).all())
        for sink in self.o:
            m.d.comb += [
                sink.valid.eq(self.i.valid & self.i.ready),
                sink.payload.eq(self.i.payload),
            ]
        return m


class Merge(wiring.Component):
    """Joins ``count`` streams; of several valid ones the lowest-numbered goes first."""

    def __init__(self, shape, count: int):
        super().__init__(
            {
                "i": In(stream.Signature(shape)).array(count),
                "o": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        taken = 0
        for source in self.i:
            mine = Signal()
            m.d.comb += [mine.eq(source.valid & ~taken), source.ready.eq(self.o.ready & ~taken)]
            with m.If(mine):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(source.payload)]
            taken = taken | source.valid
        return m
