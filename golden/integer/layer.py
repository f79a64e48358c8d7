"""A layer's integers: weights, biases, thresholds and alignments."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from golden.integer.checks import check_range, check_shape, integers
from golden.integer.numerics import (
    ACCUMULATOR,
    BIAS,
    BIAS_SHIFT,
    EVENT,
    MAX_ALIGNMENT,
    THRESHOLD_ONE,
)

GATES = ("r", "z", "n")  # blocks of H rows in a weight matrix, as in torch.nn.GRU


class Sum(NamedTuple):
    """An accumulator of a unit: the gate whose weights it sums, and the events it sums over."""

    gate: str
    sources: tuple[str, ...]


SUM_TABLE = {
    "r": Sum("r", ("input", "recurrent")),
    "z": Sum("z", ("input", "recurrent")),
    "p": Sum("n", ("input",)),
    "q": Sum("n", ("recurrent",)),
}
SUMS = tuple(SUM_TABLE)
"""A unit's accumulators, in the order used everywhere, including the rows of the biases."""


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """One layer of H units reading C inputs.

    Args:
        weight_input: [3H, C], gates (r, z, n); symmetric codes of the model's ``weight_bits``.
        weight_recurrent: [3H, H], likewise.
        bias: [4, H] in BIAS, rows (r, z, p, q): r and z hold the sum of both biases of a gate,
            p and q the input and the recurrent bias of gate n.
        threshold: [H] in THRESHOLD, 0 ... 2**15.
        input_alignment: left shift of an input value before it is multiplied, 0 ... 9.
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
            object.__setattr__(self, name, integers(name, getattr(self, name), *dimensions))
        size = self.hidden_size
        if size < 1 or self.input_size < 1:
            raise ValueError("a layer must have at least one unit and one input")
        check_shape("weight_input", self.weight_input, (3 * size, self.input_size))
        check_shape("weight_recurrent", self.weight_recurrent, (3 * size, size))
        check_shape("bias", self.bias, (len(SUMS), size))
        check_range("bias", self.bias, BIAS.min, BIAS.max)
        check_range("threshold", self.threshold, 0, THRESHOLD_ONE)
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
        """[4, H]: bounds on the accumulators (r, z, p, q), biases included.

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
