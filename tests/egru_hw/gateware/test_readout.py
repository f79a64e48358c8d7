"""The read-out against its sums written out."""

import numpy as np
import pytest

from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import Target
from egru_hw.gateware.readout import Readout
from egru_hw.gateware.tokens import Kind
from sim.random_models import random_model
from tests.helpers.streams import STALLS, generator, get, plain, put, simulate

CONFIG = preset("tiny")
LAYERS, STEPS = 2, 5


def spike(kind, layer=0, unit=0, value=0):
    return {"kind": kind, "layer": layer, "unit": unit, "value": value}


def random_sequence(rng, model):
    """Spikes of a sequence of both layers, READOUT at its end, and the sums that should come."""
    readout, units = model.readout, model.hidden_sizes[-1]
    spikes = []
    sums = np.zeros(model.outputs, np.int64)
    for _ in range(STEPS):
        for layer in range(LAYERS):
            y = rng.integers(0, 256, units) * (rng.random(units) < 0.5)
            spikes += [spike(Kind.EVENT, layer, int(u), int(y[u])) for u in np.nonzero(y)[0]]
            spikes.append(spike(Kind.UPDATE, layer))
        sums += readout.weight @ y + readout.bias * readout.bias_operand
    return [*spikes, spike(Kind.READOUT)], sums.tolist()


@STALLS
@pytest.mark.parametrize("outputs", [1, 2, 3, 8])
def test_readout_sums_the_last_layer_and_starts_afresh_each_sequence(outputs, stall):
    rng = generator(outputs)
    model = random_model(rng, 2, (6, 6), outputs)
    dut = Readout(CONFIG, build_image(model, CONFIG).words[Target.READOUT])
    spikes, expected = [], []
    for n in range(4):
        more, sums = random_sequence(rng, model)
        if n == 2:  # abandoned half-way
            more, sums = [*more[: len(more) // 2], spike(Kind.RESET)], []
        spikes += more
        expected += sums
    spikes.append(spike(Kind.READOUT))  # nothing summed since the last one
    expected += [0] * outputs
    markers = sum(s["kind"] is not Kind.EVENT for s in spikes)
    retired = []

    async def send(ctx):
        registers = dut.registers
        ctx.set(registers.last_layer, LAYERS - 1)
        ctx.set(registers.layers[LAYERS - 1].units, 6)
        ctx.set(registers.outputs, outputs)
        ctx.set(registers.readout_pitch, -(-outputs // CONFIG.readout_lanes))
        ctx.set(registers.bias_operand, model.readout.bias_operand)
        await put(ctx, dut.i, spikes, stall, rng)

    async def receive(ctx):
        got = [plain(payload) for _, payload in await get(ctx, dut.o, len(expected), stall, rng)]
        assert [g["sum"] for g in got] == expected
        assert [g["index"] for g in got] == [n % outputs for n in range(len(expected))]

    async def count_markers(ctx):
        while len(retired) < markers:
            _, _, now = await ctx.tick().sample(dut.retired)
            retired.extend([1] * now)

    simulate(dut, send, receive, count_markers)
