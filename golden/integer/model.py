"""The integer EGRU: the specification that the accelerator must equal, with ``==``.

The arithmetic is that of ``docs/numerics.md``; formats, shifts and the table come from
:mod:`golden.integer.numerics`. Only numpy is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from golden.integer.numerics import (
    ACCUMULATOR,
    BIAS,
    BIAS_SHIFT,
    EVENT,
    EVENT_SHIFT,
    GATE,
    MAX_ALIGNMENT,
    OPERAND,
    READOUT_ACCUMULATOR,
    RECURRENT_GATE_INPUT,
    RECURRENT_GATE_SHIFT,
    RESET_PRODUCT_SHIFT,
    SIGMOID_SHIFT,
    STATE,
    TABLE_MAX_INDEX,
    TANH_SHIFT,
    THRESHOLD_ONE,
    VALUE_BITS,
    Format,
    round_shift,
    tanh_table,
    weight_format,
)

GATES = ("r", "z", "n")  # blocks of H rows in a weight matrix, as in torch.nn.GRU
SUMS = ("r", "z", "p", "q")  # a unit's accumulators, and the rows of a layer's biases
MIN_WEIGHT_BITS, MAX_WEIGHT_BITS = 2, 8
BLOCK = 128  # sequences run together: what a step computes then stays in the cache

State = tuple[tuple[np.ndarray, np.ndarray], ...]


def _integers(name: str, value, *dimensions: str) -> np.ndarray:
    """A read-only int64 copy of ``value``, which must be an integer array of that many axes."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.ndim != len(dimensions):
        expected = "x".join(dimensions)
        raise ValueError(
            f"{name} must be a {expected} array of integers, not {array.dtype} of {array.shape}"
        )
    array = array.astype(np.int64)
    array.setflags(write=False)
    return array


def _check_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, not {array.shape}")


def _check_range(name: str, array: np.ndarray, low: int, high: int) -> None:
    outside = array[(array < low) | (array > high)]
    if outside.size:
        raise ValueError(f"{name} must lie in {low} ... {high}, not {outside[0]}")


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """One layer of H units reading C inputs.

    Args:
        weight_input: [3H, C], gates (r, z, n); symmetric codes of the model's ``weight_bits``.
        weight_recurrent: [3H, H], likewise.
        bias: [4, H] in BIAS, rows (r, z, p, q): r and z hold the sum of both biases of a gate,
            p and q the input and the recurrent bias of gate n.
        threshold: [H] in THRESHOLD, 0 ... 2**15.
        input_alignment: left shift of an input value before it meets a weight, 0 ... 9.
        recurrent_alignment: left shift of an event value of this layer, 0 ... 9.
    """

    weight_input: np.ndarray
    weight_recurrent: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    input_alignment: int
    recurrent_alignment: int

    def __post_init__(self):
        for name, dimensions in (
            ("weight_input", ("3H", "C")),
            ("weight_recurrent", ("3H", "H")),
            ("bias", ("4", "H")),
            ("threshold", ("H",)),
        ):
            object.__setattr__(self, name, _integers(name, getattr(self, name), *dimensions))
        size = self.hidden_size
        if size < 1 or self.input_size < 1:
            raise ValueError("a layer must have at least one unit and one input")
        _check_shape("weight_input", self.weight_input, (3 * size, self.input_size))
        _check_shape("weight_recurrent", self.weight_recurrent, (3 * size, size))
        _check_shape("bias", self.bias, (len(SUMS), size))
        _check_range("bias", self.bias, BIAS.min, BIAS.max)
        _check_range("threshold", self.threshold, 0, THRESHOLD_ONE)
        for name in ("input_alignment", "recurrent_alignment"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 0 <= value <= MAX_ALIGNMENT:
                raise ValueError(
                    f"{name} must be an integer in 0 ... {MAX_ALIGNMENT}, not {value!r}"
                )

    @property
    def hidden_size(self) -> int:
        return len(self.threshold)

    @property
    def input_size(self) -> int:
        return self.weight_input.shape[1]

    @property
    def recurrent_fraction(self) -> int:
        """Fraction bits of ``weight_recurrent``."""
        return ACCUMULATOR.fraction - EVENT.fraction - self.recurrent_alignment

    def input_fraction(self, value_fraction: int) -> int:
        """Fraction bits of ``weight_input`` for input values of ``value_fraction``."""
        return ACCUMULATOR.fraction - value_fraction - self.input_alignment

    def largest_sums(self, largest_value: int, one_hot: bool = False) -> np.ndarray:
        """[4, H]: what the accumulators (r, z, p, q) can reach, their biases included.

        Inputs are at most ``largest_value``, and with ``one_hot`` at most one of them is not 0.
        """
        weight_input = np.abs(self.weight_input)
        met = weight_input.max(1) if one_hot else weight_input.sum(1)
        from_input = met * (largest_value << self.input_alignment)
        from_events = np.abs(self.weight_recurrent).sum(1) * (EVENT.max << self.recurrent_alignment)
        r, z, p = from_input.reshape(3, -1)
        recurrent_r, recurrent_z, q = from_events.reshape(3, -1)
        sums = np.stack([r + recurrent_r, z + recurrent_z, p, q])
        return sums + (np.abs(self.bias) << BIAS_SHIFT)


@dataclass(frozen=True, eq=False)
class IntegerReadout:
    """A linear map of the mean of the last layer's events, computed as a sum over steps.

    Args:
        weight: [K, H], symmetric codes of the model's ``weight_bits``.
        bias: [K], symmetric codes of the model's ``weight_bits``.
        fraction: fraction bits of ``weight``.
        bias_operand: the value β that multiplies the bias at every step, in OPERAND.
    """

    weight: np.ndarray
    bias: np.ndarray
    fraction: int
    bias_operand: int

    def __post_init__(self):
        object.__setattr__(self, "weight", _integers("readout.weight", self.weight, "K", "H"))
        object.__setattr__(self, "bias", _integers("readout.bias", self.bias, "K"))
        if self.outputs < 1:
            raise ValueError("a read-out must have at least one output")
        _check_shape("readout.weight", self.weight, (self.outputs, self.weight.shape[1]))
        if not isinstance(self.fraction, int):
            raise ValueError(f"readout.fraction must be an integer, not {self.fraction!r}")
        if not isinstance(self.bias_operand, int) or not 0 <= self.bias_operand <= OPERAND.max:
            raise ValueError(
                f"readout.bias_operand must be an integer in 0 ... {OPERAND.max}, "
                f"not {self.bias_operand!r}"
            )

    @property
    def outputs(self) -> int:
        return len(self.bias)

    @property
    def scale(self) -> float:
        """Real value of one least significant bit of an accumulator."""
        return 2.0 ** -(self.fraction + EVENT.fraction)

    def sums(self, totals: np.ndarray, steps: int) -> np.ndarray:
        """What ``steps`` steps add to the accumulators (..., K), from their events' sums (..., H).

        Exact: float64's fast matrix multiplication never sees a partial sum near 2**53, by the
        limit on the steps of a sequence.
        """
        products = totals.astype(np.float64) @ self.weight.T.astype(np.float64)
        return products.astype(np.int64) + steps * self.bias * self.bias_operand

    @property
    def largest_step(self) -> int:
        """The most that one step can add to an accumulator."""
        sums = np.abs(self.weight).sum(1) * EVENT.max + np.abs(self.bias) * self.bias_operand
        return int(sums.max())


@dataclass(frozen=True, eq=False)
class IntegerResult:
    """What :meth:`IntegerEGRU.run` returns, for N sequences of T steps.

    Attributes:
        events: per layer (N, T, H): event values in EVENT, 0 where a unit is silent.
        state: per layer the pair (y, h), each (N, H), after the last step; h is the state
            after reset, in STATE.
        outputs: (N, K) sums of the read-out in READOUT_ACCUMULATOR; K = 0 without one.
        input_events: per layer (N, T): non-zero inputs that the layer consumed at each step.
        recurrent_events: per layer (N, T): events of the step before that it consumed.
    """

    events: tuple[np.ndarray, ...]
    state: State
    outputs: np.ndarray
    input_events: tuple[np.ndarray, ...]
    recurrent_events: tuple[np.ndarray, ...]

    @property
    def activity(self) -> tuple[float, ...]:
        """Per layer the share of units that fire, over all steps and sequences."""
        return tuple(float((events != 0).mean()) for events in self.events)

    @property
    def operations(self) -> tuple[np.ndarray, ...]:
        """Per layer (N, T): multiply-accumulates of each step, three rows of H per event."""
        return tuple(
            3 * events.shape[-1] * (inputs + recurrent)
            for events, inputs, recurrent in zip(
                self.events, self.input_events, self.recurrent_events, strict=True
            )
        )


@dataclass(frozen=True, eq=False)
class IntegerEGRU:
    """A network in integers. Refuses, by layer, gate and unit, what could overflow.

    Args:
        layers: first to last; each reads the events of the one below.
        input_format: of the values that the first layer reads; 9 bits, signed.
        readout: linear map of the mean of the last layer's events, if any.
        weight_bits: width of every weight and of the read-out's bias, 2 ... 8.
        one_hot: whether at most one input of a step is not 0, as where inputs are symbols; a
            promise that lets larger weights in, and that :meth:`run` holds its inputs to.
    """

    layers: tuple[IntegerLayer, ...]
    input_format: Format
    readout: IntegerReadout | None = None
    weight_bits: int = 8
    one_hot: bool = False

    def __post_init__(self):
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise ValueError("a model must have at least one layer")
        fraction = self.input_format.fraction
        if not isinstance(fraction, int) or self.input_format != Format(VALUE_BITS, fraction):
            raise ValueError(
                f"input_format must be a signed format of {VALUE_BITS} bits, "
                f"not {self.input_format!r}"
            )
        if not (
            isinstance(self.weight_bits, int)
            and MIN_WEIGHT_BITS <= self.weight_bits <= MAX_WEIGHT_BITS
        ):
            raise ValueError(
                f"weight_bits must be an integer in {MIN_WEIGHT_BITS} ... {MAX_WEIGHT_BITS}, "
                f"not {self.weight_bits!r}"
            )
        if not isinstance(self.one_hot, bool):
            raise ValueError(f"one_hot must be True or False, not {self.one_hot!r}")
        weight = weight_format(self.weight_bits)
        inputs, largest_value = self.input_size, -self.input_format.min
        for index, layer in enumerate(self.layers):
            if layer.input_size != inputs:
                raise ValueError(f"layer {index} must read {inputs} inputs, not {layer.input_size}")
            for name in ("weight_input", "weight_recurrent"):
                where = f"layer {index} {name}"
                _check_range(where, getattr(layer, name), weight.min, weight.max)
            one_hot = self.one_hot and index == 0
            _check_sums(index, layer.largest_sums(largest_value, one_hot))
            inputs, largest_value = layer.hidden_size, EVENT.max
        if self.readout is not None:
            shape = (self.readout.outputs, inputs)
            _check_shape("readout.weight", self.readout.weight, shape)
            for name in ("weight", "bias"):
                where = f"readout.{name}"
                _check_range(where, getattr(self.readout, name), weight.min, weight.max)

    @property
    def input_size(self) -> int:
        return self.layers[0].input_size

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        return tuple(layer.hidden_size for layer in self.layers)

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    @property
    def outputs(self) -> int:
        """Outputs of the read-out; 0 without one."""
        return self.readout.outputs if self.readout else 0

    @property
    def max_steps(self) -> int:
        """Steps of a sequence within which no read-out accumulator can overflow."""
        largest = self.readout.largest_step if self.readout else 0
        return READOUT_ACCUMULATOR.max // max(largest, 1)

    def quantize_inputs(self, x) -> np.ndarray:
        """Raw inputs for :meth:`run` from real ones (N, T, C): rounded, saturated."""
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ValueError(f"inputs must have the shape (N, T, {self.input_size}), not {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError("inputs must be finite, but some are NaN or infinite")
        return self.input_format.quantize(x)

    def logits(self, outputs, steps: int) -> np.ndarray:
        """Real outputs (N, K) of a sequence of ``steps`` from its sums ``outputs`` (N, K)."""
        if self.readout is None:
            raise ValueError("this model has no read-out, so no logits")
        return np.asarray(outputs, dtype=np.float64) * (self.readout.scale / steps)

    def step_logits(self, events) -> np.ndarray:
        """Real outputs (N, T, K) of every step, from the last layer's ``events`` (N, T, H).

        What :meth:`logits` gives for each step as a sequence of its own, with the state kept.
        """
        if self.readout is None:
            raise ValueError("this model has no read-out, so no logits")
        return self.readout.sums(np.asarray(events), 1) * self.readout.scale

    def run(self, raw_inputs, state: State | None = None, outputs=None) -> IntegerResult:
        """Run over N sequences.

        Args:
            raw_inputs: (N, T, C) integers in ``input_format``; a 0 is no event.
            state: as an earlier result has it, to go on where that ended; zeros if omitted.
            outputs: (N, K), an earlier result's, for the read-out to go on adding to.

        Raises:
            ValueError: for shapes or ranges that do not fit, or more than ``max_steps`` steps.
        """
        values = self.checked_inputs(raw_inputs)
        count, steps = values.shape[:2]
        sums = self._check_outputs(outputs, count, steps)

        results = []
        for layer, initial in zip(self.layers, self._check_state(state, count), strict=True):
            results.append(_run_layer(layer, values, *initial))
            values = results[-1][0]
        if self.readout is not None:
            sums = sums + self.readout.sums(values.sum(1), steps)
        events, last_state, input_events, recurrent_events = zip(*results, strict=True)
        return IntegerResult(events, last_state, sums, input_events, recurrent_events)

    def checked_inputs(self, raw_inputs) -> np.ndarray:
        """``raw_inputs`` as int64 (N, T, C), if they are what :meth:`run` takes."""
        values = _integers("raw_inputs", raw_inputs, "N", "T", "C")
        _check_shape("raw_inputs", values, (*values.shape[:2], self.input_size))
        _check_range("raw_inputs", values, self.input_format.min, self.input_format.max)
        if values.shape[1] < 1:
            raise ValueError("raw_inputs must have at least one step")
        if self.one_hot and np.count_nonzero(values, axis=2).max(initial=0) > 1:
            raise ValueError(
                "raw_inputs must be one-hot, at most one of a step not 0: the model was made for "
                "such inputs, quantise it again on others"
            )
        return values

    def _check_outputs(self, outputs, count: int, steps: int) -> np.ndarray:
        if outputs is None:
            outputs = np.zeros((count, self.outputs), np.int64)
        outputs = _integers("outputs", outputs, "N", "K")
        _check_shape("outputs", outputs, (count, self.outputs))
        if self.readout is not None:
            so_far = int(np.abs(outputs).max(initial=0))
            if so_far + steps * self.readout.largest_step > READOUT_ACCUMULATOR.max:
                raise ValueError(
                    f"after {steps} more steps the read-out could overflow: this model takes "
                    f"sequences of at most {self.max_steps} steps"
                )
        return outputs

    def _check_state(self, state: State | None, count: int) -> State:
        shapes = [(count, size) for size in self.hidden_sizes]
        if state is None:
            return tuple((np.zeros(s, np.int64), np.zeros(s, np.int64)) for s in shapes)
        if len(state) != self.num_layers:
            raise ValueError(f"state must have {self.num_layers} layers, not {len(state)}")
        checked = []
        for index, ((y, h), shape) in enumerate(zip(state, shapes, strict=True)):
            pair = []
            for name, array, form in (("y", y, EVENT), ("h", h, STATE)):
                where = f"state {name} of layer {index}"
                array = _integers(where, array, "N", "H")
                _check_shape(where, array, shape)
                _check_range(where, array, form.min, form.max)
                pair.append(array)
            checked.append((pair[0], pair[1]))
        return tuple(checked)


def _check_sums(index: int, largest: np.ndarray) -> None:
    outside = np.argwhere(largest > ACCUMULATOR.max)
    if len(outside):
        row, unit = outside[0]
        raise ValueError(
            f"layer {index}, accumulator {SUMS[row]} of unit {unit} could reach "
            f"{largest[row, unit]} where {ACCUMULATOR} ends at {ACCUMULATOR.max}: "
            f"make its weights smaller"
        )


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
    """What the units do with their sums: one step of ``docs/numerics.md``.

    Args:
        sums: (..., 4, H) accumulators (r, z, p, q) without biases.
        h: (..., H) states of the step before.
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
    """[C, 3H] float32, for operands (N, C) to be multiplied with."""
    return np.ascontiguousarray((weight.T << alignment).astype(np.float32))


def layer_steps(
    layer: IntegerLayer, values: np.ndarray, y: np.ndarray, h: np.ndarray
) -> Iterator[Units]:
    """The steps of one layer over ``values`` (N, T, C) from the state (y, h), each (N, H)."""
    # Products go through float32's fast matrix multiplication and are exact, in any order:
    # every partial sum is an integer below 2**23, by the accumulator bound.
    weight_input = _operand_weights(layer.weight_input, layer.input_alignment)
    weight_recurrent = _operand_weights(layer.weight_recurrent, layer.recurrent_alignment)
    count, size = h.shape
    sums = np.empty((count, len(SUMS), size), np.float32)
    for t in range(values.shape[1]):
        from_input = (values[:, t].astype(np.float32) @ weight_input).reshape(count, 3, size)
        from_events = (y.astype(np.float32) @ weight_recurrent).reshape(count, 3, size)
        sums[:, :3] = from_input
        sums[:, :2] += from_events[:, :2]
        sums[:, 3] = from_events[:, 2]
        units = step(layer, sums.astype(np.int64), h)
        y, h = units.y, units.h
        yield units


def _run_layer(layer: IntegerLayer, values: np.ndarray, y: np.ndarray, h: np.ndarray):
    """Events (N, T, H), last state (y, h), and the input and recurrent events (N, T) consumed."""
    count, steps, _ = values.shape
    events = np.empty((count, steps, layer.hidden_size), np.int64)
    last_h = np.empty_like(h)
    for start in range(0, count, BLOCK):
        part = slice(start, start + BLOCK)
        for t, units in enumerate(layer_steps(layer, values[part], y[part], h[part])):
            events[part, t] = units.y
        last_h[part] = units.h
    fired = np.count_nonzero(events, axis=2)
    recurrent_events = np.column_stack([np.count_nonzero(y, axis=1), fired[:, :-1]])
    return events, (events[:, -1], last_h), np.count_nonzero(values, axis=2), recurrent_events
