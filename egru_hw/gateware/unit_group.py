"""A group of units updated side by side, with the memories that belong to them."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config, bits_for
from egru_hw.contract.protocol import PARAMETERS, Target, word_bits
from egru_hw.gateware.lane_slice import sums_signature
from egru_hw.gateware.mac_lanes import MacLanes
from egru_hw.gateware.shapes import delay, register, shape
from egru_hw.gateware.tokens import job_layout
from egru_hw.gateware.unit import Unit
from egru_hw.gateware.weight_store import write_signature
from golden.integer import numerics

SUMS_DELAY = MacLanes.READ_LATENCY  # cycles from ``group`` to the units' inputs


def fired_layout(config: Config) -> data.StructLayout:
    """Which units of a group have an event, and their values."""
    return data.StructLayout(
        {
            "group": bits_for(config.groups),
            "fired": config.units_per_cycle,
            "values": data.ArrayLayout(numerics.EVENT.width, config.units_per_cycle),
        }
    )


def issue_signature(config: Config) -> wiring.Signature:
    """Interface for updating groups of units.

    With ``start`` the unit group updates ``group`` of the layer whose groups begin at
    ``first_group``. ``job`` names the accumulators that hold its sums; it and ``first_group``
    are constant until ``busy`` falls: no group is in the pipeline then.
    """
    group_bits = bits_for(config.groups)
    return wiring.Signature(
        {
            "start": Out(1),
            "job": Out(job_layout(config)),
            "group": Out(group_bits),
            "first_group": Out(group_bits),
            "busy": In(1),
        }
    )


class UnitGroup(wiring.Component):
    """``units_per_cycle`` units, their parameters and states. One group a cycle, no stalls.

    * ``issue``: see :func:`issue_signature`. ``sums``: from the lanes.
    * ``o``: the group's events, LATENCY cycles after ``issue.start``; only if there are any.
    * ``write``: stores the parameters of a group. ``init``: their contents at power-up.
    * ``state_unit``, ``state``: the host's view of a unit's state, two cycles later, valid
      while nothing is issued.
    """

    LATENCY = SUMS_DELAY + Unit.LATENCY

    def __init__(self, config: Config, init=()):
        self.config, self.init = config, init
        self.group_bits = bits_for(config.groups)
        self.states = data.ArrayLayout(shape(numerics.STATE), config.units_per_cycle)
        super().__init__(
            {
                "issue": In(issue_signature(config)),
                "sums": Out(sums_signature(config)),
                "o": Out(stream.Signature(fired_layout(config), always_ready=True)),
                "write": In(write_signature(self.group_bits, word_bits(config, Target.PARAMETERS))),
                "state_unit": In(bits_for(config.max_units)),
                "state": Out(shape(numerics.STATE)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, issue = self.config, self.issue
        per_cycle = config.units_per_cycle
        slots = config.columns // per_cycle  # groups in a word of the accumulators
        address = Signal(self.group_bits)
        m.d.comb += address.eq(issue.first_group + issue.group)

        m.submodules.parameters = parameters = memory.Memory(
            shape=word_bits(config, Target.PARAMETERS), depth=config.groups, init=self.init
        )
        parameter_write = parameters.write_port()
        parameter_read = parameters.read_port(domain="comb")
        parameter = register(word_bits(config, Target.PARAMETERS))
        m.d.comb += [
            parameter_write.addr.eq(self.write.payload.address),
            parameter_write.data.eq(self.write.payload.data),
            parameter_write.en.eq(self.write.valid),
            self.write.ready.eq(1),
            parameter_read.addr.eq(address),
        ]
        with m.If(~self.write.valid):  # as in OnChipWeightStore
            m.d.sync += parameter.eq(parameter_read.data)
        parameter = delay(m, parameter, SUMS_DELAY - 1, "parameter")

        # The host reads states through this port while it is idle.
        m.submodules.states = states = memory.Memory(
            shape=self.states, depth=config.groups, init=[]
        )
        state_write, state_read = states.write_port(granularity=None), states.read_port()
        lane_bits = bits_for(per_cycle) if per_cycle > 1 else 0
        host_lane = delay(m, self.state_unit[:lane_bits], 1, "host_lane")
        in_flight = Signal(self.LATENCY)
        m.d.sync += in_flight.eq(Cat(issue.start, in_flight))
        m.d.comb += [
            issue.busy.eq(issue.start | in_flight.any()),
            state_read.addr.eq(
                Mux(
                    issue.busy,
                    delay(m, address, SUMS_DELAY + Unit.STATE_DELAY - 1, "state_address"),
                    self.state_unit[lane_bits:],
                )
            ),
            state_write.addr.eq(delay(m, address, self.LATENCY, "written_address")),
            state_write.en.eq(in_flight[-1]),
        ]
        m.d.sync += self.state.eq(state_read.data[host_lane] if lane_bits else state_read.data[0])

        slot_bits = (slots - 1).bit_length()
        m.d.comb += [
            self.sums.select.word.eq(issue.group[slot_bits:]),
            self.sums.select.slot.eq(issue.group[:slot_bits]),
            self.sums.select.bank.eq(issue.job.bank),
            self.sums.select.any_input.eq(issue.job.any_input),
            self.sums.select.any_recurrent.eq(issue.job.any_recurrent),
        ]
        outputs = self.o.payload
        for lane in range(per_cycle):
            m.submodules[f"unit_{lane}"] = unit = Unit()
            m.d.comb += [
                unit.sums.eq(self.sums.values[lane]),
                unit.parameters.eq(parameter.word_select(lane, PARAMETERS.size)),
                unit.state.eq(Mux(issue.job.first, 0, state_read.data[lane])),
                state_write.data[lane].eq(unit.new_state),
                outputs.fired[lane].eq(unit.fired),
                outputs.values[lane].eq(unit.value),
            ]
        m.d.comb += [
            self.o.valid.eq(in_flight[-1] & outputs.fired.any()),
            outputs.group.eq(delay(m, issue.group, self.LATENCY, "fired_group")),
        ]
        return m
