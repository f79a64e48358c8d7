"""The unit update: updates a layer's units, a group a cycle, and emits their events."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config, bits_for
from egru_hw.contract.registers import layer_registers, register_layout
from egru_hw.gateware.streams import Queue
from egru_hw.gateware.tokens import Kind, job_layout, spike_layout
from egru_hw.gateware.unit_group import fired_layout, issue_signature


class UnitUpdate(wiring.Component):
    """Updates the groups of a layer and turns their events into a stream.

    A layer of H units takes ``ceil(H / units_per_cycle)`` cycles plus the pipeline latency;
    events leave one per cycle in unit order, starting as soon as a group has fired. Groups
    without an event take no cycle of the stream.

    * ``i``: markers from the lanes. The next is taken once the previous one has left. Kinds
      other than UPDATE are forwarded.
    * ``issue``: to the unit group. ``fired``: from it; never stalls.
    * ``o``: events, then the marker that caused them.
    * ``close``: with that marker: the layer's list of events is complete.
    """

    def __init__(self, config: Config):
        self.config = config
        self.layer = data.StructLayout(layer_registers(config))
        super().__init__(
            {
                "registers": In(register_layout(config)),
                "i": In(stream.Signature(job_layout(config))),
                "issue": Out(issue_signature(config)),
                "fired": In(stream.Signature(fired_layout(config), always_ready=True)),
                "o": Out(stream.Signature(spike_layout(config))),
                "close": Out(stream.Signature(bits_for(config.max_layers), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, issue = self.config, self.issue
        layer = Signal(self.layer)
        # As deep as a layer has groups, so that the pipeline never stalls.
        m.submodules.waiting = waiting = Queue(fired_layout(config), config.groups)
        m.d.comb += [
            waiting.i.payload.eq(self.fired.payload),
            waiting.i.valid.eq(self.fired.valid),
        ]
        head = Signal(fired_layout(config))  # its events yet to be sent
        lowest = Signal(config.units_per_cycle)
        m.d.comb += lowest.eq(head.fired & -head.fired)

        free = Signal()
        is_event = Signal()
        mark = Signal()
        spike = Signal(spike_layout(config))
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            is_event.eq(head.fired.any()),
            spike.layer.eq(issue.job.layer),
            spike.kind.eq(Mux(is_event, Kind.EVENT, issue.job.kind)),
        ]
        for lane in range(config.units_per_cycle):
            with m.If(lowest[lane]):
                m.d.comb += [
                    spike.unit.eq(head.group * config.units_per_cycle + lane),
                    spike.value.eq(head.values[lane]),
                ]
        with m.If(free):
            m.d.sync += [self.o.valid.eq(is_event | mark), self.o.payload.eq(spike)]
            m.d.sync += head.fired.eq(head.fired & ~lowest)
        m.d.comb += waiting.o.ready.eq(~is_event | (free & (head.fired == lowest)))
        with m.If(waiting.o.valid & waiting.o.ready):
            m.d.sync += head.eq(waiting.o.payload)

        m.d.comb += [
            issue.first_group.eq(layer.first_group),
            self.close.payload.eq(issue.job.layer),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    issue.job.eq(self.i.payload),
                    layer.eq(Array(self.registers.layers)[self.i.payload.layer]),
                    issue.group.eq(0),
                ]
                with m.If(self.i.valid & (self.i.payload.kind == Kind.UPDATE)):
                    m.next = "ISSUE"
                with m.Elif(self.i.valid):
                    m.next = "MARK"
            with m.State("ISSUE"):
                m.d.comb += issue.start.eq(1)
                m.d.sync += issue.group.eq(issue.group + 1)
                with m.If(issue.group == layer.last_group):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                with m.If(~issue.busy & (waiting.level == 0) & ~is_event):
                    m.next = "MARK"
            with m.State("MARK"):
                m.d.comb += mark.eq(1)
                with m.If(free):
                    m.d.comb += self.close.valid.eq(issue.job.kind == Kind.UPDATE)
                    m.next = "IDLE"
        return m
