"""The arithmetic of a layer, step by step, as ``docs/numerics.md`` specifies it."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from golden.integer.layer import SUMS, IntegerLayer
from golden.integer.numerics import (
    BIAS_SHIFT,
    EVENT,
    EVENT_SHIFT,
    GATE,
    RECURRENT_GATE_INPUT,
    RECURRENT_GATE_SHIFT,
    RESET_PRODUCT_SHIFT,
    SIGMOID_SHIFT,
    TABLE_MAX_INDEX,
    TANH_SHIFT,
    round_shift,
    tanh_table,
)
from golden.lengths import real_steps

BLOCK = 128  # sequences run together, so that the results of a step stay in the cache


class Units(NamedTuple):
    """What a layer's units compute in one step, each (..., H); see ``docs/numerics.md``."""

    y: np.ndarray  # event values in EVENT, 0 for silence
    h: np.ndarray  # states after reset, in STATE
    c: np.ndarray  # states before it
    r: np.ndarray  # gates in GATE
    z: np.ndarray
    q: np.ndarray  # in RECURRENT_GATE_INPUT
    g: np.ndarray  # in STATE


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Sigmoid in GATE and tanh in STATE for the indices -TABLE_MAX_INDEX ... TABLE_MAX_INDEX."""
    positive = np.array(tanh_table(), dtype=np.int64)
    tanh = np.concatenate([-positive[:0:-1], positive])
    return (1 << (GATE.fraction - 1)) + tanh, tanh


def _look_up(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    return table.take(index + TABLE_MAX_INDEX, mode="clip")


def step(layer: IntegerLayer, sums: np.ndarray, h: np.ndarray) -> Units:
    """Update the units from their sums: one step of ``docs/numerics.md``.

    Args:
        sums: (..., 4, H) accumulators (r, z, p, q) without biases.
        h: (..., H) previous states.
    """
    sigmoid, tanh = _tables()
    sums = sums + (layer.bias << BIAS_SHIFT)
    s_r, s_z, s_p, s_q = (sums[..., row, :] for row in range(len(SUMS)))
    r = _look_up(sigmoid, round_shift(s_r, SIGMOID_SHIFT))
    z = _look_up(sigmoid, round_shift(s_z, SIGMOID_SHIFT))
    q = RECURRENT_GATE_INPUT.saturate(s_q >> RECURRENT_GATE_SHIFT)
    g = _look_up(tanh, round_shift(s_p + ((r * q) >> RESET_PRODUCT_SHIFT), TANH_SHIFT))
    c = g + round_shift(z * (h - g), GATE.fraction)
    value = np.minimum(round_shift(c, EVENT_SHIFT), EVENT.max)
    fires = (c > layer.threshold) & (value >= 1)
    return Units(value * fires, c - layer.threshold * fires, c, r, z, q, g)


def _operand_weights(weight: np.ndarray, alignment: int) -> np.ndarray:
    """[C, 3H] float32, to multiply with operands (N, C)."""
    return np.ascontiguousarray((weight.T << alignment).astype(np.float32))


def accumulator(layer: IntegerLayer) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function of a step's input values (N, C) and of the events before it (N, H): the sums
    (N, 4, H) of accumulators (r, z, p, q), without biases."""
    # float32 matrix multiplication is fast, and exact in any order of summation: by the
    # accumulator bound, every partial sum is an integer below 2**23.
    weight_input = _operand_weights(layer.weight_input, layer.input_alignment)
    weight_recurrent = _operand_weights(layer.weight_recurrent, layer.recurrent_alignment)

    def accumulate(values: np.ndarray, y: np.ndarray) -> np.ndarray:
        count, size = y.shape
        sums = np.empty((count, len(SUMS), size), np.float32)
        from_input = (values.astype(np.float32) @ weight_input).reshape(count, 3, size)
        from_events = (y.astype(np.float32) @ weight_recurrent).reshape(count, 3, size)
        sums[:, :3] = from_input
        sums[:, :2] += from_events[:, :2]
        sums[:, 3] = from_events[:, 2]
        return sums.astype(np.int64)

    return accumulate


def layer_steps(
    layer: IntegerLayer, values: np.ndarray, y: np.ndarray, h: np.ndarray
) -> Iterator[Units]:
    """The steps of one layer over ``values`` (N, T, C) from the state (y, h), each (N, H)."""
    accumulate = accumulator(layer)
    for t in range(values.shape[1]):
        units = step(layer, accumulate(values[:, t], y), h)
        y, h = units.y, units.h
        yield units


def run_layer(
    layer: IntegerLayer, values: np.ndarray, y: np.ndarray, h: np.ndarray, lengths: np.ndarray
):
    """Events (N, T, H), last state (y, h), and counts (N, T) of input and recurrent events.

    Args:
        values: (N, T, C), zeros after the ``lengths`` (N,) of the sequences; so are the results.
    """
    count, steps, _ = values.shape
    events = np.zeros((count, steps, layer.hidden_size), np.int64)
    last_h = np.empty_like(h)
    for start in range(0, count, BLOCK):
        part = slice(start, start + BLOCK)
        ends = lengths[part] - 1
        played = values[part, : ends.max() + 1]
        for t, units in enumerate(layer_steps(layer, played, y[part], h[part])):
            events[part, t] = units.y * (t <= ends)[:, None]
            last_h[part][t == ends] = units.h[t == ends]
    fired = np.count_nonzero(events, axis=2)
    recurrent_events = np.column_stack([np.count_nonzero(y, axis=1), fired[:, :-1]])
    recurrent_events *= real_steps(lengths, steps)
    last_y = events[np.arange(count), lengths - 1]
    return events, (last_y, last_h), np.count_nonzero(values, axis=2), recurrent_events
