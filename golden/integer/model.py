"""The integer EGRU: the specification that the accelerator must match bit for bit.

The arithmetic is that of ``docs/numerics.md``; formats, shifts and the table come from
:mod:`golden.integer.numerics`. Only NumPy is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.integer.arithmetic import run_layer
from golden.integer.checks import check_range, check_shape, integers
from golden.integer.layer import SUMS, IntegerLayer
from golden.integer.numerics import (
    ACCUMULATOR,
    EVENT,
    MAX_FRACTION,
    READOUT_ACCUMULATOR,
    STATE,
    VALUE_BITS,
    Format,
    weight_format,
)
from golden.integer.readout import IntegerReadout
from golden.lengths import blank, checked
from golden.readouts import READOUTS, ReadoutKind

MIN_WEIGHT_BITS, MAX_WEIGHT_BITS = 2, 8

IntegerState = tuple[tuple[np.ndarray, np.ndarray], ...]


@dataclass(frozen=True, eq=False)
class IntegerResult:
    """What :meth:`IntegerEGRU.run` returns, for N sequences of T steps.

    After the end of a shorter sequence, events, outputs and counts are 0.

    Attributes:
        events: per layer (N, T, H): event values in EVENT, 0 where a unit is silent.
        state: per layer the pair (y, h), each (N, H), after the last step of each sequence; h is
            the state after reset, in STATE.
        outputs: sums of the read-out in READOUT_ACCUMULATOR: (N, K), or (N, T, K) if it is read
            at every step; K = 0 without one.
        input_events: per layer (N, T): non-zero inputs that the layer consumed at each step.
        recurrent_events: per layer (N, T): events consumed from the previous step.
        lengths: (N,), the steps of each sequence.
    """

    events: tuple[np.ndarray, ...]
    state: IntegerState
    outputs: np.ndarray
    input_events: tuple[np.ndarray, ...]
    recurrent_events: tuple[np.ndarray, ...]
    lengths: np.ndarray

    @classmethod
    def joined(cls, results: Sequence["IntegerResult"]) -> "IntegerResult":
        """One result for the sequences of all ``results``, which have equally many steps T."""

        def layers(name: str) -> tuple[np.ndarray, ...]:
            parts = zip(*(getattr(result, name) for result in results), strict=True)
            return tuple(map(np.concatenate, parts))

        states = zip(*(result.state for result in results), strict=True)
        return cls(
            layers("events"),
            tuple(
                (np.concatenate([y for y, _ in parts]), np.concatenate([h for _, h in parts]))
                for parts in states
            ),
            np.concatenate([result.outputs for result in results]),
            layers("input_events"),
            layers("recurrent_events"),
            np.concatenate([result.lengths for result in results]),
        )

    @property
    def activity(self) -> tuple[float, ...]:
        """Per layer the share of units that fire, over all steps and sequences."""
        steps = self.lengths.sum()
        return tuple(
            float(np.count_nonzero(events) / (steps * events.shape[-1])) for events in self.events
        )

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
    """An integer network. Weights that could cause an overflow are rejected.

    Args:
        layers: first to last; each reads the events of the one below.
        input_format: format of the first layer's inputs; 9 bits, signed.
        readout: linear map of the last layer's events, if any.
        weight_bits: width of every weight and of the read-out's bias, 2 ... 8.
        one_hot: whether at most one input per step is non-zero, as for symbols. This permits
            larger weights; :meth:`run` rejects all other inputs.
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
        if (
            not isinstance(fraction, int)
            or abs(fraction) > MAX_FRACTION
            or self.input_format != Format(VALUE_BITS, fraction)
        ):
            raise ValueError(
                f"input_format must be a signed format of {VALUE_BITS} bits with "
                f"-{MAX_FRACTION} ... {MAX_FRACTION} fraction bits, not {self.input_format!r}"
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
                check_range(where, getattr(layer, name), weight.min, weight.max)
            one_hot = self.one_hot and index == 0
            _check_sums(index, layer.largest_sums(largest_value, one_hot))
            inputs, largest_value = layer.hidden_size, EVENT.max
        if self.readout is not None:
            shape = (self.readout.outputs, inputs)
            check_shape("readout.weight", self.readout.weight, shape)
            for name in ("weight", "bias"):
                where = f"readout.{name}"
                check_range(where, getattr(self.readout, name), weight.min, weight.max)

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
    def readout_kind(self) -> ReadoutKind:
        """When the read-out is read; for a model without one, at the end of a sequence."""
        return self.readout.kind if self.readout else READOUTS["mean"]

    @property
    def max_steps(self) -> int:
        """Steps between two reads within which no read-out accumulator can overflow."""
        largest = self.readout.largest_step if self.readout else 0
        return READOUT_ACCUMULATOR.max // max(largest, 1)

    def quantize_inputs(self, x, lengths=None) -> np.ndarray:
        """Raw inputs for :meth:`run` from real ones (N, T, C): rounded, saturated; 0 after the
        ``lengths`` of the sequences, if they differ."""
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ValueError(f"inputs must have the shape (N, T, {self.input_size}), not {x.shape}")
        x = blank(x, checked(lengths, *x.shape[:2]))
        if not np.isfinite(x).all():
            raise ValueError("inputs must be finite, but some are NaN or infinite")
        return self.input_format.quantize(x)

    def logits(self, outputs, steps: int | np.ndarray) -> np.ndarray:
        """Real outputs of sequences of ``steps`` steps, from their sums ``outputs``; if the lengths
        differ, ``steps`` are those of each sequence (N,)."""
        if self.readout is None:
            raise ValueError("this model has no read-out, so no logits")
        divisor = np.asarray(self.readout.kind.divisor(steps))[..., None]
        return np.asarray(outputs, dtype=np.float64) * (self.readout.scale / divisor)

    def run(
        self, raw_inputs, state: IntegerState | None = None, outputs=None, lengths=None
    ) -> IntegerResult:
        """Run over N sequences.

        Args:
            raw_inputs: (N, T, C) integers in ``input_format``; a 0 is no event.
            state: an earlier result's, to continue from; zeros if omitted.
            outputs: (N, K), an earlier result's, to add to; only if the read-out is read once
                per sequence.
            lengths: (N,), how many of the T steps each sequence has; all if omitted.

        Raises:
            ValueError: for invalid shapes or values, or more than ``max_steps`` steps.
        """
        values = self.checked_inputs(raw_inputs, lengths)
        count, steps = values.shape[:2]
        lengths = checked(lengths, count, steps)
        sums = self._check_outputs(outputs, count, int(lengths.max(initial=1)))

        results = []
        for layer, initial in zip(self.layers, self._check_state(state, count), strict=True):
            results.append(run_layer(layer, values, *initial, lengths))
            values = results[-1][0]
        if self.readout is not None:
            sums = self.readout.run(values, lengths, sums)
        events, last_state, input_events, recurrent_events = zip(*results, strict=True)
        return IntegerResult(events, last_state, sums, input_events, recurrent_events, lengths)

    def checked_inputs(self, raw_inputs, lengths=None) -> np.ndarray:
        """``raw_inputs`` as int64 (N, T, C), if valid for :meth:`run`; 0 after the ``lengths``."""
        values = integers("raw_inputs", raw_inputs, "N", "T", "C", maker="quantize_inputs")
        check_shape("raw_inputs", values, (*values.shape[:2], self.input_size))
        if values.shape[1] < 1:
            raise ValueError("raw_inputs must have at least one step")
        values = blank(values, checked(lengths, *values.shape[:2]))
        check_range("raw_inputs", values, self.input_format.min, self.input_format.max)
        if self.one_hot and np.count_nonzero(values, axis=2).max(initial=0) > 1:
            raise ValueError(
                "raw_inputs must be one-hot, with at most one non-zero per step, as this model was "
                "quantised for such inputs: quantise the network again with other inputs"
            )
        return values

    def _check_outputs(self, outputs, count: int, steps: int) -> np.ndarray:
        spans = self.readout_kind.spans(steps)
        if outputs is None:
            outputs = np.zeros((count, self.outputs), np.int64)
        elif len(spans) > 1:
            raise ValueError(
                f"outputs can be continued only if they are read once per sequence: this model's "
                f"are read {len(spans)} times, so leave them out"
            )
        outputs = integers("outputs", outputs, "N", "K", maker="run")
        check_shape("outputs", outputs, (count, self.outputs))
        if self.readout is not None:
            so_far = int(np.abs(outputs).max(initial=0))
            if so_far + max(spans) * self.readout.largest_step > READOUT_ACCUMULATOR.max:
                raise ValueError(
                    f"the read-out could overflow within {max(spans)} more steps: this model "
                    f"takes sequences of at most {self.max_steps} steps between two reads"
                )
        return outputs

    def _check_state(self, state: IntegerState | None, count: int) -> IntegerState:
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
                array = integers(where, array, "N", "H", maker="run")
                check_shape(where, array, shape)
                check_range(where, array, form.min, form.max)
                pair.append(array)
            checked.append((pair[0], pair[1]))
        return tuple(checked)


def _check_sums(index: int, largest: np.ndarray) -> None:
    outside = np.argwhere(largest > ACCUMULATOR.max)
    if len(outside):
        row, unit = outside[0]
        raise ValueError(
            f"layer {index}, accumulator {SUMS[row]} of unit {unit} could reach "
            f"{largest[row, unit]}, but {ACCUMULATOR} ends at {ACCUMULATOR.max}: "
            f"reduce its weights"
        )
