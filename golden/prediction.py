"""Predictions from outputs: classes or real values. Needs only NumPy."""

from dataclasses import dataclass

import numpy as np

from golden.lengths import blank
from golden.objective import CLASSES, Objective


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions for N sequences, or for each of their T steps.

    Attributes:
        outputs: (N, K) or (N, T, K), logits or predicted values; NaN after the end of a shorter
            sequence.
        objective: what they are trained for.
        lengths: (N,), the steps of each sequence; None if all have T.
    """

    outputs: np.ndarray
    objective: Objective = CLASSES
    lengths: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.lengths is not None and self.outputs.ndim == 3:
            object.__setattr__(self, "outputs", blank(self.outputs, self.lengths, np.nan))

    @property
    def classes(self) -> np.ndarray:
        """(N,) or (N, T), the most probable class; -1 after the end of a shorter sequence.

        Raises:
            ValueError: the outputs are values.
        """
        self._check()
        return np.where(np.isnan(self.outputs).all(-1), -1, self.outputs.argmax(-1))

    @property
    def probabilities(self) -> np.ndarray:
        """(N, K) or (N, T, K), the softmax of the logits; NaN after the end of a shorter sequence.

        Raises:
            ValueError: the outputs are values.
        """
        self._check()
        odds = np.exp(self.outputs - self.outputs.max(-1, keepdims=True))
        return odds / odds.sum(-1, keepdims=True)

    def _check(self) -> None:
        if self.objective is not CLASSES:
            raise ValueError("the model predicts real values, not classes: use outputs")
