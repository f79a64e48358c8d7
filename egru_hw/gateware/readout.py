"""The read-out: a linear map of the last layer's events, summed over the steps of a sequence."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config, bits_for
from egru_hw.contract.registers import register_layout
from egru_hw.gateware.shapes import register, shape
from egru_hw.gateware.streams import Queue, connect
from egru_hw.gateware.tokens import Kind, spike_layout
from egru_hw.gateware.weight_fetch import WeightFetch
from egru_hw.gateware.weight_store import OnChipWeightStore, write_signature
from golden.integer import numerics

QUEUE_DEPTH = 16  # events that wait for earlier ones to be multiplied


class Readout(wiring.Component):
    """Adds ``value * weights`` of each event of the last layer, and the bias once a step.

    An event takes ``ceil(outputs / readout_lanes)`` cycles, in parallel with the lanes.

    * ``i``: spikes of all layers, in order. UPDATE of the last layer adds the bias (the row
      after the last unit's) times ``bias_operand``; READOUT sends the sums and clears them;
      RESET clears them.
    * ``o``: the sums, ``outputs`` elements a READOUT.
    * ``retired``: a marker is done.
    * ``registers``: the model's; constant while events are in flight.
    * ``write``: stores a row of weights. ``init``: their contents at power-up.
    """

    def __init__(self, config: Config, init=()):
        self.config, self.init = config, init
        self.accumulator = shape(numerics.READOUT_ACCUMULATOR)
        self.row_bits = config.readout_lanes * config.weight_bits
        self.address_bits = bits_for(config.readout_rows)
        self.pitch_bits = bits_for(config.readout_pitch + 1)
        self.output_bits = bits_for(config.max_outputs + 1)
        super().__init__(
            {
                "i": In(stream.Signature(spike_layout(config))),
                "o": Out(
                    stream.Signature(
                        data.StructLayout({"index": self.output_bits, "sum": self.accumulator})
                    )
                ),
                "retired": Out(1),
                "registers": In(register_layout(config)),
                "write": In(write_signature(self.address_bits, self.row_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.queue = queue = Queue(spike_layout(config), QUEUE_DEPTH)
        m.submodules.fetch = fetch = WeightFetch(
            address_bits=self.address_bits,
            row_bits=self.row_bits,
            index_bits=bits_for(config.max_units + 1),
            pitch_bits=self.pitch_bits,
            tag=data.StructLayout({"kind": Kind, "fresh": 1}),
        )
        m.submodules.store = store = OnChipWeightStore(
            width=self.row_bits, depth=config.readout_rows, init=self.init
        )
        connect(m, wiring.flipped(self.i), queue.i)
        connect(m, fetch.request, store.request)
        connect(m, fetch.row, store.row)
        connect(m, wiring.flipped(self.write), store.write)

        registers = self.registers
        units = Array(registers.layers)[registers.last_layer].units

        # Nothing is fetched for other layers; their markers pass, to retire in order.
        spike = queue.o.payload
        is_event = spike.kind == Kind.EVENT
        ours = spike.layer == registers.last_layer
        fetches = ours & (is_event | (spike.kind == Kind.UPDATE))
        fresh = Signal(init=1)  # no sum has been written since the last clear
        wanted = fetch.i.payload
        m.d.comb += [
            fetch.i.valid.eq(queue.o.valid),
            queue.o.ready.eq(fetch.i.ready),
            wanted.fetch.eq(fetches),
            wanted.index.eq(Mux(is_event, spike.unit, units)),
            wanted.pitch.eq(registers.readout_pitch),
            wanted.value.eq(Mux(is_event, spike.value, registers.bias_operand)),
            wanted.tag.kind.eq(spike.kind),
            wanted.tag.fresh.eq(fresh),
        ]
        with m.If(fetch.i.valid & fetch.i.ready):
            with m.If(fetches):
                m.d.sync += fresh.eq(0)
            with m.Elif((spike.kind == Kind.READOUT) | (spike.kind == Kind.RESET)):
                m.d.sync += fresh.eq(1)

        # Multiply and accumulate: operands, products, sums.
        fetched = fetch.o.payload
        accept = Signal()
        active = Signal(2)
        row = register(data.ArrayLayout(signed(config.weight_bits), config.readout_lanes))
        operand = register(shape(numerics.OPERAND))
        products = register(data.ArrayLayout(self.accumulator, config.readout_lanes))
        word = Signal(self.pitch_bits)
        place = Signal(self.pitch_bits)  # of the sums that are added to, or sent
        overwrite = [Signal(name=f"overwrite_{n}") for n in range(2)]
        m.d.comb += accept.eq(fetch.o.valid & fetch.o.ready & fetched.fetch)
        m.d.sync += [
            active.eq(Cat(accept, active)),
            row.eq(fetched.row),
            operand.eq(fetched.operand),
            word.eq(fetched.word),
            Cat(overwrite).eq(Cat(fetched.tag.fresh, overwrite[0])),
        ]
        m.submodules.sums = sums = memory.Memory(
            shape=data.ArrayLayout(self.accumulator, config.readout_lanes),
            depth=1 << self.pitch_bits,
            init=[],
        )
        old, new = sums.read_port(domain="comb"), sums.write_port()
        m.d.comb += [old.addr.eq(place), new.addr.eq(place), new.en.eq(active[1])]
        for lane in range(config.readout_lanes):
            m.d.sync += products[lane].eq(row[lane] * operand)
            m.d.comb += new.data[lane].eq(Mux(overwrite[1], 0, old.data[lane]) + products[lane])

        index, placed = Signal(self.output_bits), Signal(self.output_bits)
        more, any_placed = Signal(), Signal()
        output = register(self.o.payload.shape())
        lane_bits = (config.readout_lanes - 1).bit_length()
        m.d.comb += [more.eq(index != registers.outputs), self.o.payload.eq(output)]
        last_word = Signal(self.pitch_bits)  # as wide as WeightFetch's, or a pitch of 0 has none
        m.d.comb += [
            last_word.eq(registers.readout_pitch - 1),
            self.retired.eq(
                fetch.o.valid
                & fetch.o.ready
                & (fetched.tag.kind != Kind.EVENT)
                & (~fetched.fetch | (fetched.word == last_word))
            ),
        ]
        with m.FSM():
            with m.State("SUM"):
                m.d.sync += [place.eq(word), index.eq(0)]
                with m.If(fetch.o.valid & (fetched.tag.kind == Kind.READOUT)):
                    with m.If(active == 0):
                        m.next = "SEND"
                with m.Else():
                    m.d.comb += fetch.o.ready.eq(1)
            with m.State("SEND"):
                # Three steps: which output, where its sum is, and the sum.
                with m.If(~self.o.valid | self.o.ready):
                    m.d.sync += [
                        index.eq(index + more),
                        any_placed.eq(more),
                        placed.eq(index),
                        place.eq(index[lane_bits:]),
                        self.o.valid.eq(any_placed),
                        output.index.eq(placed),
                        output.sum.eq(Mux(fetched.tag.fresh, 0, old.data[placed[:lane_bits]])),
                    ]
                with m.If(~more & ~any_placed & ~self.o.valid):
                    m.d.comb += fetch.o.ready.eq(1)
                    m.next = "SUM"
        return m
