"""A memory in the weight store's place: one class, handed to the accelerator."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import memory

from egru_hw.contract.config import preset
from egru_hw.contract.protocol import Counter
from egru_hw.gateware.weight_store import WeightStore
from sim.backends.amaranth_simulator import AmaranthTransport
from sim.comparison import compare
from sim.random_models import random_inputs, random_model
from sim.stimulus import Stimulus
from tests.helpers.simulation import run
from tests.helpers.streams import generator


class SlowStore(WeightStore):
    """One row or word at a time, each after 1 to 16 cycles that a shift register draws."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = memory.Memory(shape=self.width, depth=self.depth, init=self.init)
        write, read = rows.write_port(), rows.read_port(domain="comb")
        noise = Signal(16, init=1)
        wait = Signal(4)
        address = Signal.like(self.request.payload)
        m.d.sync += noise.eq((noise << 1) | (noise[15] ^ noise[13] ^ noise[12] ^ noise[10]))
        m.d.comb += [
            write.addr.eq(self.write.payload.address),
            write.data.eq(self.write.payload.data),
            write.en.eq(self.write.valid & self.write.ready),
            read.addr.eq(address),
            self.row.payload.eq(read.data),
        ]
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.write.valid):
                    m.d.comb += self.write.ready.eq(wait == 0)
                with m.Else():
                    m.d.comb += self.request.ready.eq(1)
                    m.d.sync += address.eq(self.request.payload)
                with m.If(self.write.ready | (self.request.valid & self.request.ready)):
                    m.d.sync += wait.eq(noise[:4])
                with m.If(self.request.valid & self.request.ready):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.row.valid.eq(wait == 0)
                with m.If(self.row.valid & self.row.ready):
                    m.next = "IDLE"
        return m


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_a_slow_memory_changes_cycles_and_nothing_else(stall):
    config = preset("tiny")
    rng = generator(1)
    model = random_model(rng, 3, (5, 4), 3, threshold=2000)
    inputs = random_inputs(rng, 2, 6, 3)
    stimulus = Stimulus(stall=stall, seed=2)
    found = {
        name: run(transport, config, model, inputs)
        for name, transport in (
            ("on chip", AmaranthTransport(config, stimulus)),
            ("slow", AmaranthTransport(config, stimulus, store=SlowStore)),
        )
    }
    assert compare(model.run(inputs), found["slow"]).mismatches == 0
    assert any(events.any() for events in found["slow"].events)
    cycles = {name: result.counters[Counter.CYCLES] for name, result in found.items()}
    assert cycles["slow"] > 2 * cycles["on chip"]
    for layer, expected in zip(found["slow"].events, found["on chip"].events, strict=True):
        assert np.array_equal(layer, expected)
