"""Classes from logits: predictions and their accuracy. Needs only NumPy."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions for N sequences, or for each of their T steps.

    Attributes:
        classes: (N,) or (N, T), the most probable class.
        probabilities: (N, K) or (N, T, K), the softmax of the logits.
    """

    classes: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def from_logits(cls, logits: np.ndarray) -> "Prediction":
        """From logits (..., K)."""
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        return cls(logits.argmax(-1), odds / odds.sum(-1, keepdims=True))


def accuracy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Share of targets (...) with the largest logit (..., K). Targets of -1 do not count."""
    scored = targets >= 0
    return float((logits[scored].argmax(-1) == targets[scored]).mean())
