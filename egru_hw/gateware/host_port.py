"""The host port: executes the commands that load and read back, and forwards the others."""

from math import ceil

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config, bits_for
from egru_hw.contract.image import LOADABLE, Image
from egru_hw.contract.protocol import (
    PACKET,
    VALUE_BITS,
    Command,
    Counter,
    Reply,
    Target,
    address_bits,
    config_words,
    word_bits,
    word_depth,
)
from egru_hw.contract.registers import register_addresses, register_layout
from egru_hw.gateware.shapes import register, shape
from egru_hw.gateware.weight_store import write_signature
from golden.integer import numerics

LOADED = (Target.WEIGHTS, Target.PARAMETERS, Target.READOUT)
"""Targets whose memories are in other units."""

READ_LATENCY = 2  # cycles from ``state_unit`` to ``state``


def chunks(config: Config, target: Target) -> int:
    """WRITEs that make up a word of ``target``."""
    return ceil(word_bits(config, target) / VALUE_BITS)


class HostPort(wiring.Component):
    """Executes SELECT, WRITE and READ, and forwards the other commands.

    SELECT, WRITE and READ wait until ``idle``. If the host has begun a step but sent no STEP
    (``begun``), they first reset the sequence, since they would otherwise wait for ever. Reserved
    codes do nothing. ``image`` is what registers and memories hold at power-up.

    * ``i``, ``o``: commands, and DATA replies.
    * ``commands``: RESET, EVENT, STEP, READOUT.
    * ``registers``: the model's registers, as ``protocol`` lists them.
    * ``write_*``: a memory's next word. While it is not ready, no command but NOP is accepted.
      RESET, EVENT, STEP and READOUT wait until it is stored.
    * ``state_unit``, ``state``: see ``UnitGroup``. ``counters``, ``clear_counters``.
    """

    def __init__(self, config: Config, image: Image | None = None):
        self.config = config
        self.image = image or Image.empty()
        super().__init__(
            {
                "i": In(stream.Signature(PACKET)),
                "o": Out(stream.Signature(PACKET)),
                "commands": Out(stream.Signature(PACKET)),
                "idle": In(1),
                "begun": In(1),
                "registers": Out(register_layout(config)),
                "state_unit": Out(bits_for(config.max_units)),
                "state": In(shape(numerics.STATE)),
                "counters": In(data.ArrayLayout(VALUE_BITS, len(Counter))),
                "clear_counters": Out(1),
            }
            | {
                f"write_{target.name.lower()}": Out(
                    write_signature(bits_for(word_depth(config, target)), word_bits(config, target))
                )
                for target in LOADED
            }
        )

    def elaborate(self, platform):
        m = Module()
        command = self.i.payload
        target = Signal(Target)
        address = Signal(address_bits(self.config))

        m.d.comb += self.commands.payload.eq(command)
        reset = PACKET.const({"code": Command.RESET})
        chunk, stalled, pending, changed = self._writes(m, target, address)
        ready = Signal()  # for SELECT, WRITE and READ
        m.d.comb += ready.eq(self.idle & ~stalled)
        remaining = Signal.like(address)  # no wider, or a damaged READ could take hours
        wait = Signal(range(READ_LATENCY + 1))
        word = Signal(signed(VALUE_BITS))
        reply = register(PACKET)  # replies of all kinds meet behind it, far away
        m.d.comb += [self.o.payload.eq(reply), self.o.payload.code.eq(Reply.DATA)]
        with m.FSM():
            with m.State("COMMAND"):
                m.d.sync += [remaining.eq(command.value), wait.eq(0)]
                with m.Switch(command.code):
                    with m.Case(Command.RESET, Command.EVENT, Command.STEP, Command.READOUT):
                        m.d.comb += [
                            self.commands.valid.eq(self.i.valid & ~pending),
                            self.i.ready.eq(self.commands.ready & ~pending),
                        ]
                    with m.Case(Command.SELECT, Command.WRITE, Command.READ):
                        m.d.comb += self.i.ready.eq(ready)
                        with m.If(self.i.valid & self.begun):
                            m.d.comb += [self.commands.valid.eq(1), self.commands.payload.eq(reset)]
                    with m.Default():
                        m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid & ready & (command.code == Command.SELECT)):
                    m.d.sync += [
                        target.eq(command.index),
                        address.eq(command.value),
                        chunk.eq(0),
                    ]
                with m.If(self.i.valid & ready & (command.code == Command.READ)):
                    m.next = "READ"
            with m.State("READ"):
                with m.If(remaining == 0):
                    m.next = "COMMAND"
                with m.Elif(wait != READ_LATENCY):
                    m.d.sync += wait.eq(wait + 1)
                with m.Else():
                    m.d.sync += [reply.index.eq(address), reply.value.eq(word)]
                    m.next = "REPLY"
            with m.State("REPLY"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += [
                        address.eq(address + 1),
                        remaining.eq(remaining - 1),
                        wait.eq(0),
                    ]
                    m.next = "READ"

        m.d.comb += self.state_unit.eq(address)
        with m.Switch(target):
            with m.Case(Target.STATE):
                m.d.comb += word.eq(self.state)
            with m.Case(Target.COUNTERS):
                m.d.comb += word.eq(Array(self.counters)[address])
            with m.Case(Target.IDENTITY):
                m.d.comb += word.eq(Array(config_words(self.config))[address])
            with m.Case(Target.MODEL):
                m.d.comb += word.eq(Mux(changed, 0, self.image.digest))
        return m

    def _writes(
        self, m: Module, target: Signal, address: Signal
    ) -> tuple[Signal, Signal, Signal, Signal]:
        """Collect WRITEs into words and store them.

        Returns the number of chunks collected, whether a memory stalls, whether an accepted
        WRITE is not yet stored, and whether the model has been written to since power-up.
        """
        config, command = self.config, self.i.payload
        stalled, pending = Signal(), Signal()
        # A register in front of the wide one, every bit of which depends on `write`.
        write = Signal()
        value = register(VALUE_BITS)
        with m.If(~stalled):
            m.d.sync += [
                write.eq(self.i.valid & self.i.ready & (command.code == Command.WRITE)),
                value.eq(command.value),
            ]

        most = max(chunks(config, t) for t in LOADED)
        gathered = register(most * VALUE_BITS)
        chunk = Signal(range(most))
        complete = Signal(len(Target))
        stored = Signal.like(address)
        with m.If(~stalled):
            m.d.sync += complete.eq(0)
        with m.If(write & ~stalled):
            m.d.sync += [
                gathered.eq(Cat(gathered[VALUE_BITS:], value)),
                chunk.eq(chunk + 1),
            ]
            for t in Target:
                with m.If((target == t) & (chunk == chunks(config, t) - 1)):
                    m.d.sync += [
                        chunk.eq(0),
                        complete[t].eq(1),
                        stored.eq(address),
                        address.eq(address + 1),
                    ]
        for t in LOADED:
            port = getattr(self, f"write_{t.name.lower()}")
            m.d.comb += [
                port.valid.eq(complete[t]),
                port.payload.address.eq(stored),
                port.payload.data.eq(gathered[-chunks(config, t) * VALUE_BITS :]),
            ]
            with m.If(port.valid & ~port.ready):
                m.d.comb += stalled.eq(1)
        m.d.comb += pending.eq(write | complete.any())
        m.d.comb += self.clear_counters.eq(complete[Target.COUNTERS])

        # A reset clears no memory. So that registers and memories always belong together, it
        # leaves the registers alone too, and what tells whether they are as at power-up.
        changed = Signal(reset_less=True)
        with m.If(Cat(complete[t] for t in LOADABLE).any()):
            m.d.sync += changed.eq(1)
        loaded = gathered[-VALUE_BITS:]
        init = dict(enumerate(self.image.words[Target.REGISTERS]))
        for name, number in register_addresses(config).items():
            field = (
                self.registers[name]
                if isinstance(name, str)
                else self.registers.layers[name[0]][name[1]]
            )
            held = Signal(
                len(field), init=init.get(number, 0), name=f"register_{number}", reset_less=True
            )
            m.d.comb += field.eq(held)
            with m.If(complete[Target.REGISTERS] & (stored == number)):
                m.d.sync += held.eq(loaded)
        return chunk, stalled, pending, changed
