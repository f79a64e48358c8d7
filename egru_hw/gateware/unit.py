"""The arithmetic of one unit: gates, new state, threshold and reset, as a pipeline."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import PARAMETERS
from egru_hw.gateware.shapes import delay, register, saturate, shape
from golden.integer import SUMS, numerics
from golden.integer.numerics import Format, round_shift

SUMS_LAYOUT = data.StructLayout({name: shape(numerics.ACCUMULATOR) for name in SUMS})

TABLE_INDEX = Format(numerics.TABLE_INDEX_BITS + 1, 0, symmetric=True)


TANH_LATENCY = 5


class Unit(wiring.Component):
    """One step of a unit, as ``docs/numerics.md`` states it. One unit a cycle, never stalls.

    * ``sums``, ``parameters``: inputs, LATENCY cycles before the outputs.
    * ``state``: previous h, STATE_DELAY cycles after the other inputs.
    * ``fired``, ``value``: whether there is an event, and its value (0 ... 255).
    * ``new_state``: h after reset.
    """

    LATENCY = 7 + 2 * TANH_LATENCY
    STATE_DELAY = 2 + 2 * TANH_LATENCY

    sums: In(SUMS_LAYOUT)
    parameters: In(PARAMETERS)
    state: In(shape(numerics.STATE))
    fired: Out(1)
    value: Out(numerics.EVENT.width)
    new_state: Out(shape(numerics.STATE))

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = memory.Memory(
            shape=shape(numerics.TABLE),
            depth=numerics.TABLE_MAX_INDEX + 1,
            init=numerics.tanh_table(),
        )

        def tanh(raw, shift, name):
            """The table at ``raw / 2**shift``, signed: TANH_LATENCY cycles."""
            rounded = round_shift(raw, shift)
            index = Signal.like(rounded, name=f"{name}_index", reset_less=True)
            limited = saturate(index, TABLE_INDEX)
            magnitude = register(numerics.TABLE_INDEX_BITS, f"{name}_magnitude")
            m.d.sync += [
                index.eq(rounded),
                magnitude.eq(Mux(index < 0, -limited, limited)),
            ]
            port = table.read_port()
            m.d.comb += port.addr.eq(magnitude)
            # The memory is slow: only a register follows it.
            entry = delay(m, port.data, 1, f"{name}_entry")
            negative = delay(m, index < 0, TANH_LATENCY - 2, f"{name}_negative")
            looked_up = register(signed(numerics.TABLE.width + 1), f"{name}_tanh")
            m.d.sync += looked_up.eq(Mux(negative, -entry, entry))
            return looked_up

        # cycle 1: sums with their biases
        biased = {name: register(signed(numerics.ACCUMULATOR.width + 1), name) for name in SUMS}
        for name in SUMS:
            bias = self.parameters.bias[name] << numerics.BIAS_SHIFT
            m.d.sync += biased[name].eq(self.sums[name] + bias)

        # to 1 + TANH_LATENCY: gates r and z, positive, 17 bits including the sign
        half = 1 << (numerics.GATE.width - 1)
        r = Signal(signed(numerics.GATE.width + 1))
        z = Signal(signed(numerics.GATE.width + 1))
        m.d.comb += [
            r.eq(half + tanh(biased["r"], numerics.SIGMOID_SHIFT, "r")),
            z.eq(half + tanh(biased["z"], numerics.SIGMOID_SHIFT, "z")),
        ]
        q = register(shape(numerics.RECURRENT_GATE_INPUT))
        m.d.sync += q.eq(
            saturate(biased["q"] >> numerics.RECURRENT_GATE_SHIFT, numerics.RECURRENT_GATE_INPUT)
        )
        q = delay(m, q, TANH_LATENCY - 1, "q")

        # 2 more: reset gate
        reset_product = register(signed(len(r) + len(q)))
        candidate = register(signed(numerics.ACCUMULATOR.width + 2))
        m.d.sync += [
            reset_product.eq(r * q),
            candidate.eq(
                delay(m, biased["p"], TANH_LATENCY + 1, "p")
                + (reset_product >> numerics.RESET_PRODUCT_SHIFT)
            ),
        ]

        # TANH_LATENCY more: candidate state
        g = tanh(candidate, numerics.TANH_SHIFT, "g")
        h = delay(m, self.state, 1, "h")

        # 3 more: c = g + z (h - g)
        difference = register(signed(numerics.STATE.width + 1))
        update_product = register(signed(len(z) + len(difference)))
        c = register(shape(numerics.STATE))
        m.d.sync += [
            difference.eq(h - g),
            update_product.eq(delay(m, z, TANH_LATENCY + 3, "z") * difference),
            c.eq(delay(m, g, 2, "g") + round_shift(update_product, numerics.GATE.fraction)),
        ]

        # the last: threshold and reset
        threshold = delay(m, self.parameters.threshold, self.LATENCY - 1, "threshold")
        value = saturate(round_shift(c, numerics.EVENT_SHIFT), numerics.EVENT)
        fired = (c > threshold) & (value != 0)
        m.d.comb += [
            self.fired.eq(delay(m, fired, 1, "fired")),
            self.value.eq(delay(m, value, 1, "value")),
            self.new_state.eq(delay(m, Mux(fired, c - threshold, c), 1, "new_state")),
        ]
        return m
