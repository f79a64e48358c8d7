"""The sequencer: turns a host's events and steps into the lanes' work, layer after layer."""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config, bits_for
from egru_hw.contract.protocol import PACKET, Command
from egru_hw.contract.registers import layer_registers, register_layout
from egru_hw.gateware.event_queue import replayed_layout
from egru_hw.gateware.tokens import Kind, Source, tag_layout
from egru_hw.gateware.weight_fetch import work_layout
from golden.integer import numerics


class Sequencer(wiring.Component):
    """Orders the events of every layer and step.

    A layer's step takes its input events and its recurrent events, in the order that overlaps
    with the previous layer's unit update: layer 0 begins with the host's events, other layers
    with their own events of the previous step. Sums do not depend on the order.

    * ``i``: the commands RESET, EVENT, STEP and READOUT.
    * ``o``: events with their weights' address, operand and accumulators, and markers.
    * ``replay``, ``events``, ``open``: to the event queue. A list is opened when the marker
      that will fill it is sent, so that its readers wait.
    * ``taken``: the unit update has taken a marker. Until then nothing is sent after it.
    * ``in_step``: events of an unfinished step have been taken. ``begun``: but not yet its STEP.
    * ``waits_for_host``: within a step. ``waits_for_update``: after a marker.
    """

    def __init__(self, config: Config):
        self.config = config
        self.work = work_layout(
            address_bits=bits_for(config.weight_rows),
            index_bits=bits_for(max(config.max_inputs, config.max_units)),
            pitch_bits=bits_for(config.max_pitch + 1),
            tag=tag_layout(config),
        )
        layer_bits = bits_for(config.max_layers)
        super().__init__(
            {
                "registers": In(register_layout(config)),
                "i": In(stream.Signature(PACKET)),
                "o": Out(stream.Signature(self.work)),
                "replay": Out(stream.Signature(layer_bits)),
                "events": In(stream.Signature(replayed_layout(config))),
                "open": Out(stream.Signature(layer_bits, always_ready=True)),
                "taken": In(1),
                "in_step": Out(1),
                "begun": Out(1),
                "waits_for_host": Out(1),
                "waits_for_update": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        layer = Signal.like(self.registers.last_layer)
        registers = Signal(data.StructLayout(layer_registers(config)))
        bank = Signal()
        first = Signal(init=1)
        any_input = Signal()
        any_recurrent = Signal()
        m.d.comb += registers.eq(Array(self.registers.layers)[layer])

        # One register stage in front of the weight fetch.
        kind = Signal(Kind)
        work = Signal(self.work)
        offered = Signal()
        accepted = Signal()
        marked = Signal()
        m.d.comb += [
            accepted.eq((~self.o.valid | self.o.ready) & ~marked),
            self.waits_for_update.eq(marked),
        ]
        with m.If(self.taken):
            m.d.sync += marked.eq(0)
        with m.Elif(offered & accepted & (kind != Kind.EVENT)):
            m.d.sync += marked.eq(1)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(offered & ~marked), self.o.payload.eq(work)]

        source = Signal(Source)
        replayed = Signal(Source)
        value = Signal(signed(numerics.VALUE_BITS))
        from_input = source == Source.INPUT
        job = work.tag.job
        m.d.comb += [
            work.base.eq(Mux(from_input, registers.input_base, registers.recurrent_base)),
            work.pitch.eq(registers.pitch),
            work.value.eq(value),
            work.alignment.eq(
                Mux(from_input, registers.input_alignment, registers.recurrent_alignment)
            ),
            work.tag.source.eq(source),
            work.tag.first_of_job.eq(~any_input & ~any_recurrent),
            work.tag.first_of_source.eq(Mux(from_input, ~any_input, ~any_recurrent)),
            work.fetch.eq(kind == Kind.EVENT),
            job.kind.eq(kind),
            job.layer.eq(layer),
            job.bank.eq(bank),
            job.first.eq(first),
            job.any_input.eq(any_input),
            job.any_recurrent.eq(any_recurrent),
        ]
        with m.If(offered & accepted & (kind == Kind.EVENT)):
            m.d.sync += [
                any_input.eq(any_input | from_input),
                any_recurrent.eq(any_recurrent | ~from_input),
            ]

        m.d.comb += [self.in_step.eq(1), self.open.payload.eq(layer)]
        with m.FSM():
            with m.State("HOST"):
                command = self.i.payload
                m.d.comb += [
                    source.eq(Source.INPUT),
                    work.index.eq(command.index),
                    value.eq(command.value),
                    self.in_step.eq(any_input),
                    self.begun.eq(any_input),
                    self.waits_for_host.eq(any_input & ~self.i.valid),
                    self.i.ready.eq(accepted),
                    offered.eq(self.i.valid & (command.code != Command.STEP)),
                ]
                with m.Switch(command.code):
                    with m.Case(Command.EVENT):
                        m.d.comb += kind.eq(Kind.EVENT)
                    with m.Case(Command.READOUT):
                        m.d.comb += kind.eq(Kind.READOUT)
                    with m.Case(Command.RESET):
                        m.d.comb += kind.eq(Kind.RESET)
                        with m.If(self.i.valid & accepted):
                            m.d.sync += [first.eq(1), any_input.eq(0)]
                    with m.Case(Command.STEP):
                        with m.If(self.i.valid & accepted & first):
                            m.next = "MARK"
                        with m.Elif(self.i.valid & accepted):
                            m.next = "OWN"
            with m.State("OWN"):
                m.d.comb += [self.replay.valid.eq(1), self.replay.payload.eq(layer)]
                m.d.sync += replayed.eq(Source.RECURRENT)
                with m.If(self.replay.ready):
                    m.next = "REPLAY"
            with m.State("BELOW"):
                m.d.comb += [self.replay.valid.eq(1), self.replay.payload.eq(layer - 1)]
                m.d.sync += replayed.eq(Source.INPUT)
                with m.If(self.replay.ready):
                    m.next = "REPLAY"
            with m.State("REPLAY"):
                event = self.events.payload.event
                m.d.comb += [
                    kind.eq(Kind.EVENT),
                    source.eq(replayed),
                    work.index.eq(event.unit),
                    value.eq(event.value),
                    offered.eq(self.events.valid & ~self.events.payload.end),
                    self.events.ready.eq(accepted),
                ]
                with m.If(self.events.valid & accepted & self.events.payload.end):
                    m.next = "MARK"
                    with m.If((replayed == Source.RECURRENT) & (layer != 0)):
                        m.next = "BELOW"
            with m.State("MARK"):
                m.d.comb += [kind.eq(Kind.UPDATE), offered.eq(1)]
                with m.If(accepted):
                    m.d.comb += self.open.valid.eq(1)
                    m.d.sync += [bank.eq(~bank), any_input.eq(0), any_recurrent.eq(0)]
                    with m.If(layer == self.registers.last_layer):
                        m.d.sync += [layer.eq(0), first.eq(0)]
                        m.next = "HOST"
                    with m.Else():
                        m.d.sync += layer.eq(layer + 1)
                        m.next = "OWN"
                        with m.If(first):
                            m.next = "BELOW"
        return m
