"""The accelerator: the units of this folder, wired together."""

from collections.abc import Callable

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config, bits_for
from egru_hw.contract.image import Image
from egru_hw.contract.protocol import PACKET, Reply, Target
from egru_hw.gateware.counters import Counters
from egru_hw.gateware.event_queue import EventQueue
from egru_hw.gateware.host_port import HostPort
from egru_hw.gateware.mac_lanes import MacLanes
from egru_hw.gateware.readout import Readout
from egru_hw.gateware.replies import Fork, Merge, SpikeReporter
from egru_hw.gateware.sequencer import Sequencer
from egru_hw.gateware.streams import Queue, connect
from egru_hw.gateware.tokens import Kind, Source, spike_layout, tag_layout
from egru_hw.gateware.unit_group import UnitGroup
from egru_hw.gateware.unit_update import UnitUpdate
from egru_hw.gateware.weight_fetch import WeightFetch
from egru_hw.gateware.weight_store import OnChipWeightStore, WeightStore

QUEUE_DEPTH = 16  # commands and replies that wait at the ports
IN_FLIGHT_MARKERS = 64  # more than fit between the sequencer and the read-out's end


class Accelerator(wiring.Component):
    """An event-based GRU of any size up to the configuration's maxima.

    * ``i``: commands, ``o``: replies; see ``egru_hw.contract.protocol``. A stalled ``o`` stalls the
      accelerator and finally ``i``; nothing is lost.
    * ``busy``: a step is in progress.

    Args:
        config: sizes.
        image: memory contents at power-up; without it, a model must be loaded.
        store: makes the memory that holds the weights.
    """

    def __init__(
        self,
        config: Config,
        image: Image | None = None,
        store: Callable[..., WeightStore] = OnChipWeightStore,
    ):
        self.config = config
        self.store = store
        self.image = image or Image.empty()
        super().__init__(
            {
                "i": In(stream.Signature(PACKET)),
                "o": Out(stream.Signature(PACKET)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, image = self.config, self.image
        m.submodules.commands = commands = Queue(PACKET, QUEUE_DEPTH)
        m.submodules.replies = replies = Queue(PACKET, QUEUE_DEPTH)
        m.submodules.host = host = HostPort(config, image)
        m.submodules.sequencer = sequencer = Sequencer(config)
        m.submodules.events = events = EventQueue(config)
        m.submodules.fetch = fetch = WeightFetch(
            address_bits=bits_for(config.weight_rows),
            row_bits=config.row_bits,
            index_bits=len(sequencer.o.payload.index),
            pitch_bits=bits_for(config.max_pitch + 1),
            tag=tag_layout(config),
        )
        m.submodules.store = store = self.store(
            width=config.row_bits, depth=config.weight_rows, init=image.words[Target.WEIGHTS]
        )
        m.submodules.lanes = lanes = MacLanes(config)
        m.submodules.update = update = UnitUpdate(config)
        m.submodules.units = units = UnitGroup(config, image.words[Target.PARAMETERS])
        m.submodules.readout = readout = Readout(config, image.words[Target.READOUT])
        m.submodules.spikes = spikes = Fork(spike_layout(config), 2)
        m.submodules.report = report = SpikeReporter(config)
        m.submodules.merge = merge = Merge(PACKET, 3)
        m.submodules.counters = counters = Counters()
        registers = host.registers
        for part in (sequencer, update, report, readout):
            m.d.comb += part.registers.eq(registers)

        # Host to lanes, lanes to units: one path.
        connect(m, wiring.flipped(self.i), commands.i)
        connect(m, commands.o, host.i)
        connect(m, host.commands, sequencer.i)
        connect(m, sequencer.replay, events.replay)
        connect(m, sequencer.events, events.o)
        connect(m, sequencer.open, events.open)
        connect(m, sequencer.o, fetch.i)
        connect(m, fetch.request, store.request)
        connect(m, fetch.row, store.row)
        connect(m, fetch.o, lanes.i)
        connect(m, lanes.o, update.i)
        wiring.connect(m, update.issue, units.issue)
        wiring.connect(m, units.sums, lanes.sums)
        connect(m, units.o, update.fired)
        m.d.comb += sequencer.taken.eq(update.i.valid & update.i.ready)

        # Spikes go to the event lists, to the read-out and to the host in the same cycle.
        connect(m, update.o, spikes.i)
        connect(m, spikes.o[0], readout.i)
        connect(m, spikes.o[1], report.i)
        spike = update.o.payload
        m.d.comb += [
            events.i.valid.eq(update.o.valid & update.o.ready & (spike.kind == Kind.EVENT)),
            events.i.payload.layer.eq(spike.layer),
            events.i.payload.event.unit.eq(spike.unit),
            events.i.payload.event.value.eq(spike.value),
        ]
        connect(m, update.close, events.close)

        # Replies, the rarest first.
        connect(m, host.o, merge.i[0])
        m.d.comb += [
            merge.i[1].payload.code.eq(Reply.OUTPUT),
            merge.i[1].payload.index.eq(readout.o.payload.index),
            merge.i[1].payload.value.eq(readout.o.payload.sum),
            merge.i[1].valid.eq(readout.o.valid),
            readout.o.ready.eq(merge.i[1].ready),
        ]
        connect(m, report.o, merge.i[2])
        connect(m, merge.o, replies.i)
        connect(m, replies.o, wiring.flipped(self.o))

        # Loading.
        connect(m, host.write_weights, store.write)
        connect(m, host.write_parameters, units.write)
        connect(m, host.write_readout, readout.write)
        m.d.comb += [
            units.state_unit.eq(host.state_unit),
            host.state.eq(units.state),
            host.counters.eq(counters.values),
            counters.clear.eq(host.clear_counters),
        ]

        for layer in range(config.max_layers):
            m.d.comb += events.base[layer].eq(
                registers.layers[layer].first_group * config.units_per_cycle
            )

        # Markers that were sent and have not yet been retired.
        sent = Signal()
        in_flight = Signal(range(IN_FLIGHT_MARKERS))
        m.d.comb += [
            sent.eq(sequencer.o.valid & sequencer.o.ready & ~sequencer.o.payload.fetch),
            self.busy.eq(sequencer.in_step | sequencer.o.valid | (in_flight != 0)),
            host.idle.eq(~self.busy),
            host.begun.eq(sequencer.begun),
        ]
        m.d.sync += in_flight.eq(in_flight + sent - readout.retired)

        event_sent = Signal()
        work = sequencer.o.payload
        units_of_event = Array(registers.layers)[work.tag.job.layer].units
        m.d.comb += [
            event_sent.eq(sequencer.o.valid & sequencer.o.ready & work.fetch),
            counters.running.eq(self.busy),
            counters.step.eq(report.step),
            counters.input_event.eq(event_sent & (work.tag.source == Source.INPUT)),
            counters.recurrent_event.eq(event_sent & (work.tag.source == Source.RECURRENT)),
            counters.macs.eq(Mux(event_sent, (units_of_event << 1) + units_of_event, 0)),
            counters.row.eq(lanes.busy),
            counters.output_waits.eq(update.o.valid & ~update.o.ready),
            counters.weights_wait.eq(fetch.waiting),
            counters.update_waits.eq(events.waiting | sequencer.waits_for_update),
            counters.input_waits.eq(sequencer.waits_for_host),
        ]
        return m
