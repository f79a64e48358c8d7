"""The unit update with its units: one layer's step, for every size and back-pressure."""

import numpy as np
import pytest
from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, wiring

from egru_hw.contract.config import Config, preset
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import Target
from egru_hw.gateware.mac_lanes import MacLanes
from egru_hw.gateware.shapes import delay
from egru_hw.gateware.tokens import Kind
from egru_hw.gateware.unit import SUMS_LAYOUT
from egru_hw.gateware.unit_group import UnitGroup
from egru_hw.gateware.unit_update import UnitUpdate
from golden.integer import SUMS, IntegerEGRU, step
from sim.random_models import random_model
from tests.helpers.streams import STALLS, generator, get, plain, put, simulate

SIZES = {
    "one unit a cycle": preset("tiny"),
    "four units a cycle": Config(
        lanes=24,
        units_per_cycle=4,
        max_units=24,
        max_inputs=4,
        max_outputs=2,
        max_layers=2,
        weight_rows=256,
        readout_lanes=1,
    ),
}


class Bench:
    """UnitUpdate and UnitGroup wired as in the accelerator, accumulators played by the test."""

    def __init__(self, config: Config, model: IntegerEGRU):
        self.config = config
        image = build_image(model, config)
        self.update = UnitUpdate(config)
        self.units = UnitGroup(config, image.words[Target.PARAMETERS])
        group = data.ArrayLayout(SUMS_LAYOUT, config.units_per_cycle)
        self.groups = [Signal(group, name=f"group_{n}") for n in range(config.groups)]
        self.module = m = Module()
        m.submodules.update, m.submodules.units = update, units = self.update, self.units
        wiring.connect(m, units.o, update.fired)
        wiring.connect(m, update.issue, units.issue)
        # The accumulators, as late as the lanes are.
        slots = config.columns // config.units_per_cycle
        asked = units.sums.select.word * slots + (units.sums.select.slot if slots > 1 else 0)
        m.d.comb += units.sums.values.eq(Array(self.groups)[delay(m, asked, MacLanes.READ_LATENCY)])
        groups = 0
        for number, layer in enumerate(model.layers):
            count = config.layer_groups(layer.hidden_size)
            m.d.comb += [
                update.registers.layers[number].first_group.eq(groups),
                update.registers.layers[number].last_group.eq(count - 1),
            ]
            groups += count

    def set_sums(self, ctx, sums):
        """Fill the accumulators with ``sums`` (4, max_units)."""
        for unit in range(self.config.max_units):
            group, lane = divmod(unit, self.config.units_per_cycle)
            for row, name in enumerate(SUMS):
                ctx.set(self.groups[group][lane][name], int(sums[row, unit]))


def job(layer, *, first=0, any_input=1, any_recurrent=1, kind=Kind.UPDATE):
    return {
        "kind": kind,
        "layer": layer,
        "bank": 0,
        "first": first,
        "any_input": any_input,
        "any_recurrent": any_recurrent,
    }


@STALLS
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("units", [1, 5, 16])
def test_a_layers_step_equals_the_integer_model(size, units, stall):
    rng = generator(units)
    config = SIZES[size]
    model = random_model(rng, 2, (units,), threshold=500)
    layer = model.layers[0]
    bench = Bench(config, model)
    jobs, expected = [], []
    h = np.zeros(units, np.int64)
    for n in range(12):
        any_input, any_recurrent = (int(v) for v in rng.integers(0, 2, 2))
        first = int(n in (0, 7))
        sums = rng.integers(-(2**18), 2**18, (4, config.max_units))
        jobs.append((sums, job(0, first=first, any_input=any_input, any_recurrent=any_recurrent)))
        touched = np.array([any_input | any_recurrent] * 2 + [any_input, any_recurrent])
        h = np.zeros_like(h) if first else h
        sums *= touched[:, None]  # the lanes read zero where no event has been
        y, h, *_ = step(layer, sums[:, :units], h)
        expected.append([(int(u), int(y[u])) for u in np.nonzero(y)[0]])
    assert any(expected)

    async def drive(ctx):
        for n, (sums, payload) in enumerate(jobs):
            bench.set_sums(ctx, sums)
            await put(ctx, bench.update.i, [payload])
            got = await get(ctx, bench.update.o, len(expected[n]) + 1, stall, rng)
            spikes = [plain(spike) for _, spike in got]
            assert spikes[-1]["kind"] == Kind.UPDATE.value
            assert [(s["unit"], s["value"]) for s in spikes[:-1]] == expected[n]
        for unit in range(units):
            ctx.set(bench.units.state_unit, unit)
            await ctx.tick().repeat(2)
            assert ctx.get(bench.units.state) == h[unit]

    simulate(bench.module, drive)
