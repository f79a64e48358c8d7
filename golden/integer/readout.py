"""The integers of the linear read-out."""

from dataclasses import dataclass

import numpy as np

from golden.integer.checks import check_shape, integers
from golden.integer.numerics import EVENT, MAX_FRACTION, OPERAND
from golden.lengths import by_length
from golden.readouts import READOUTS, ReadoutKind


@dataclass(frozen=True, eq=False)
class IntegerReadout:
    """A linear map of the last layer's events, summed over the steps between two reads.

    Args:
        weight: [K, H], symmetric codes of the model's ``weight_bits``.
        bias: [K], symmetric codes of the model's ``weight_bits``.
        fraction: fraction bits of ``weight``.
        bias_operand: the value β that multiplies the bias at every step, in OPERAND.
        kind: when the accumulators are read.
    """

    weight: np.ndarray
    bias: np.ndarray
    fraction: int
    bias_operand: int
    kind: ReadoutKind = READOUTS["mean"]

    def __post_init__(self):
        object.__setattr__(self, "weight", integers("readout.weight", self.weight, "K", "H"))
        object.__setattr__(self, "bias", integers("readout.bias", self.bias, "K"))
        if self.outputs < 1:
            raise ValueError("a read-out must have at least one output")
        check_shape("readout.weight", self.weight, (self.outputs, self.weight.shape[1]))
        if not isinstance(self.fraction, int) or abs(self.fraction) > MAX_FRACTION:
            raise ValueError(
                f"readout.fraction must be an integer in -{MAX_FRACTION} ... {MAX_FRACTION}, "
                f"not {self.fraction!r}"
            )
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

    def sums(self, events: np.ndarray) -> np.ndarray:
        """The accumulators (N, R, K) at each read, from the events (N, T, H).

        Exact: by the limit on the steps between two reads, no partial sum of the float64 matrix
        multiplication is near 2**53.
        """
        totals, spans = self.kind.totals(events), self.kind.spans(events.shape[1])
        products = totals.astype(np.float64) @ self.weight.T.astype(np.float64)
        return products.astype(np.int64) + np.outer(spans, self.bias * self.bias_operand)

    def run(self, events: np.ndarray, lengths: np.ndarray, before: np.ndarray) -> np.ndarray:
        """The outputs, (N, K) or (N, T, K), from the events (N, T, H) of sequences of ``lengths``
        (N,); after their end 0.

        Args:
            before: (N, K), what the accumulators hold at the start.
        """
        kind = self.kind
        outputs = np.zeros((*events.shape[: 1 + kind.per_step], self.outputs), np.int64)
        for steps, chosen in by_length(lengths):
            sums = self.sums(events[chosen, :steps])
            sums[:, 0] += before[chosen]
            outputs[kind.place(chosen, steps)] = kind.outputs(sums)
        return outputs

    @property
    def largest_step(self) -> int:
        """The most that one step can add to an accumulator."""
        sums = np.abs(self.weight).sum(1) * EVENT.max + np.abs(self.bias) * self.bias_operand
        return int(sums.max())
