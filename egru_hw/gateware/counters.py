"""Counters of the accelerator's work and of its stalls."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import INDEX_BITS
from egru_hw.contract.protocol import VALUE_BITS, Counter


class Counters(wiring.Component):
    """Counts work and stalls while ``running``; a cycle counts as at most one stall.

    ``*_wait*`` are high while a unit waits. Only cycles in which no ``row`` is multiplied are
    stalls; of several causes, the one furthest downstream is counted. Inputs take effect two
    cycles later.
    """

    clear: In(1)
    running: In(1)
    step: In(1)
    input_event: In(1)
    recurrent_event: In(1)
    macs: In(INDEX_BITS + 2)
    row: In(1)
    output_waits: In(1)
    weights_wait: In(1)
    update_waits: In(1)
    input_waits: In(1)
    values: Out(data.ArrayLayout(VALUE_BITS, len(Counter)))

    def elaborate(self, platform):
        m = Module()
        increments = {
            Counter.CYCLES: self.running,
            Counter.STEPS: self.step,
            Counter.INPUT_EVENTS: self.input_event,
            Counter.RECURRENT_EVENTS: self.recurrent_event,
            Counter.ROWS: self.row,
            Counter.MACS: self.macs,
        }
        stalled = self.running & ~self.row
        for counter, waits in (
            (Counter.STALL_OUTPUT, self.output_waits),
            (Counter.STALL_WEIGHTS, self.weights_wait),
            (Counter.STALL_UPDATE, self.update_waits),
            (Counter.STALL_INPUT, self.input_waits),
        ):
            increments[counter] = stalled & waits
            stalled = stalled & ~waits
        for counter, value in increments.items():
            increment = Signal(len(value), name=f"{counter.name.lower()}_increment")
            count = Signal(VALUE_BITS, name=counter.name.lower())
            m.d.sync += [
                increment.eq(value),
                count.eq(Mux(self.clear, 0, count + increment)),
            ]
            m.d.comb += self.values[counter].eq(count)
        return m
