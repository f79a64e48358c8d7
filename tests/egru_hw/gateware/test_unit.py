"""The unit's pipeline against the integer model's step."""

import numpy as np
import pytest

from egru_hw.gateware.unit import Unit
from golden.integer import SUMS, IntegerLayer, numerics, step
from tests.helpers.streams import generator, simulate

COUNT = 400


def stimuli(rng, kind):
    """Sums, biases, thresholds and states of COUNT units, as the accelerator may meet them."""
    accumulator, bias, state = numerics.ACCUMULATOR, numerics.BIAS, numerics.STATE
    if kind == "extreme":
        sums = rng.choice([accumulator.min, -1, 0, 1, accumulator.max], (4, COUNT))
        biases = rng.choice([bias.min, 0, bias.max], (4, COUNT))
        states = rng.choice([state.min, -1, 0, 1, state.max], COUNT)
        thresholds = rng.choice([0, 1, 64, 127, 128, numerics.THRESHOLD_ONE], COUNT)
    else:
        # A few units of real value, where the tables have their slope.
        sums = rng.normal(0, 1.5 * 2**accumulator.fraction, (4, COUNT)).astype(np.int64)
        biases = rng.normal(0, 0.5 * 2**bias.fraction, (4, COUNT)).astype(np.int64)
        states = rng.integers(state.min, state.max + 1, COUNT)
        thresholds = rng.integers(0, numerics.THRESHOLD_ONE + 1, COUNT) >> rng.integers(0, 8, COUNT)
    return sums, biases, thresholds, states


def layer_of(biases, thresholds) -> IntegerLayer:
    """COUNT units without weights."""
    nothing = np.zeros((3 * COUNT, COUNT), np.int64)
    return IntegerLayer(nothing[:, :1], nothing, biases, thresholds, 0, 0)


@pytest.mark.parametrize("kind", ["ordinary", "extreme"])
def test_unit_equals_the_integer_step_one_a_cycle_at_its_stated_latency(kind):
    rng = generator(11)
    sums, biases, thresholds, states = stimuli(rng, kind)
    layer = layer_of(biases, np.full(COUNT, numerics.THRESHOLD_ONE))
    c = step(layer, sums, states).c
    exactly = (c > 0) & (rng.random(COUNT) < 0.3)
    thresholds[exactly] = (c - rng.integers(0, 2, COUNT))[exactly]  # on the edge
    values, new_states, *_ = step(layer_of(biases, thresholds), sums, states)
    assert 0 < np.count_nonzero(values) < COUNT  # both outcomes are exercised
    assert (c == thresholds).sum() > 5

    unit = Unit()

    async def drive(ctx):
        for n in range(COUNT + unit.STATE_DELAY):
            if n < COUNT:
                for row, name in enumerate(SUMS):
                    ctx.set(unit.sums[name], int(sums[row, n]))
                    ctx.set(unit.parameters.bias[name], int(biases[row, n]))
                ctx.set(unit.parameters.threshold, int(thresholds[n]))
            if n >= unit.STATE_DELAY:
                ctx.set(unit.state, int(states[n - unit.STATE_DELAY]))
            await ctx.tick()

    async def check(ctx):
        await ctx.tick().repeat(unit.LATENCY)
        for n in range(COUNT):
            found = (
                ctx.get(unit.fired) * ctx.get(unit.value),
                ctx.get(unit.new_state),
            )
            assert found == (values[n], new_states[n]), f"unit {n}"
            await ctx.tick()

    simulate(unit, drive, check)
