"""The events of each layer's latest step, kept for the two readers of each list."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config, bits_for
from golden.integer import numerics


def event_layout(config: Config) -> data.StructLayout:
    """A unit's index in its layer and its event value."""
    return data.StructLayout({"unit": bits_for(config.max_units), "value": numerics.EVENT.width})


def replayed_layout(config: Config) -> data.StructLayout:
    """An element of a replayed list: an event, or its end."""
    return data.StructLayout({"event": event_layout(config), "end": 1})


class EventQueue(wiring.Component):
    """Event lists, one a layer, which can be read while they are still being written.

    A layer's events are read twice: by the layer above in the same step, and by the layer itself
    in the next. A FIFO can be read once only, so this queue keeps each list until the
    layer is opened again.

    * ``open``: clear a layer's list; events follow.
    * ``i``: append an event to the list of ``layer``. Never stalls.
    * ``close``: the list of ``layer`` is complete.
    * ``replay``: start reading a layer's list.
    * ``o``: its events in order, then one element with ``end`` set. Waits for events to be
      appended until the list is closed. Two cycles from ``i`` to ``o``, one event a cycle.
    * ``waiting``: a replay has caught up with the writer.
    * ``base``: where each layer's list begins; constant while events are in flight.

    A list must not be opened while it is being replayed.
    """

    def __init__(self, config: Config):
        self.config = config
        self.unit_bits = bits_for(config.max_units)
        self.layer_bits = bits_for(config.max_layers)
        event = event_layout(config)
        layer = stream.Signature(self.layer_bits, always_ready=True)
        super().__init__(
            {
                "open": In(layer),
                "i": In(
                    stream.Signature(
                        data.StructLayout({"layer": self.layer_bits, "event": event}),
                        always_ready=True,
                    )
                ),
                "close": In(layer),
                "replay": In(stream.Signature(self.layer_bits)),
                "o": Out(stream.Signature(replayed_layout(config))),
                "waiting": Out(1),
                "base": In(data.ArrayLayout(self.unit_bits, config.max_layers)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.events = events = memory.Memory(
            shape=event_layout(config), depth=config.max_units, init=[]
        )
        write, read = events.write_port(), events.read_port()
        count = Array(
            Signal(range(config.max_units + 1), name=f"count_{n}") for n in range(config.max_layers)
        )
        pending = Array(Signal(name=f"pending_{n}") for n in range(config.max_layers))

        appended = self.i.payload
        m.d.comb += [
            write.addr.eq(self.base[appended.layer] + count[appended.layer]),
            write.data.eq(appended.event),
            write.en.eq(self.i.valid),
        ]
        with m.If(self.i.valid):
            m.d.sync += count[appended.layer].eq(count[appended.layer] + 1)
        with m.If(self.close.valid):
            m.d.sync += pending[self.close.payload].eq(0)
        with m.If(self.open.valid):
            m.d.sync += [count[self.open.payload].eq(0), pending[self.open.payload].eq(1)]

        active = Signal()
        layer = Signal(self.layer_bits)
        position = Signal(range(config.max_units + 1))
        advance = Signal()
        available = Signal()
        m.d.comb += [
            self.replay.ready.eq(~active),
            advance.eq(~self.o.valid | self.o.ready),
            available.eq(position != count[layer]),
            self.waiting.eq(active & ~available & pending[layer]),
            read.addr.eq(self.base[layer] + position),
            read.en.eq(advance),
            self.o.payload.event.eq(read.data),
        ]
        with m.If(self.replay.valid & self.replay.ready):
            m.d.sync += [active.eq(1), layer.eq(self.replay.payload), position.eq(0)]
        with m.If(advance):
            m.d.sync += [
                self.o.valid.eq(active & (available | ~pending[layer])),
                self.o.payload.end.eq(~available),
            ]
            with m.If(active & available):
                m.d.sync += position.eq(position + 1)
            with m.Elif(active & ~pending[layer]):
                m.d.sync += active.eq(0)
        return m
