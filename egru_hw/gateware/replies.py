"""What the host hears: spikes as replies, and several streams of replies as one."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config, bits_for
from egru_hw.contract.protocol import PACKET, Reply, layer_registers
from egru_hw.gateware.tokens import Kind, spike_layout


class Report(wiring.Component):
    """Tells the host of events (if ``report_events``) and of finished steps.

    * ``i``: spikes. ``o``: EVENT and STEP replies, in the same cycle; a stall of ``o`` stalls
      ``i`` unless there is nothing to tell.
    * ``step``: a step has been finished.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "layers": In(
                    data.ArrayLayout(data.StructLayout(layer_registers(config)), config.max_layers)
                ),
                "last_layer": In(bits_for(config.max_layers)),
                "report_events": In(1),
                "i": In(stream.Signature(spike_layout(config))),
                "o": Out(stream.Signature(PACKET)),
                "step": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spike, reply = self.i.payload, self.o.payload
        is_step = (spike.kind == Kind.UPDATE) & (spike.layer == self.last_layer)
        is_event = spike.kind == Kind.EVENT
        told = is_step | (is_event & self.report_events)
        first_unit = Array(self.layers)[spike.layer].first_group * self.config.units_per_cycle
        with m.If(is_event):
            m.d.comb += [
                reply.code.eq(Reply.EVENT),
                reply.index.eq(first_unit + spike.unit),
                reply.value.eq(spike.value),
            ]
        with m.Else():
            m.d.comb += reply.code.eq(Reply.STEP)
        m.d.comb += [
            self.o.valid.eq(self.i.valid & told),
            self.i.ready.eq(self.o.ready | ~told),
            self.step.eq(self.i.valid & self.i.ready & is_step),
        ]
        return m


class Merge(wiring.Component):
    """Joins ``count`` streams; the lowest-numbered with something to say goes first."""

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
