"""Predictions from outputs: classes or real values. Needs only NumPy."""

from dataclasses import dataclass

import numpy as np

from golden.objective import CLASSES, Objective


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions for N sequences, or for each of their T steps.

    Attributes:
        outputs: (N, K) or (N, T, K), logits or predicted values.
        objective: what they are trained for.
    """

    outputs: np.ndarray
    objective: Objective = CLASSES

    @property
    def classes(self) -> np.ndarray:
        """(N,) or (N, T), the most probable class.

        Raises:
            ValueError: the outputs are values.
        """
        self._check()
        return self.outputs.argmax(-1)

    @property
    def probabilities(self) -> np.ndarray:
        """(N, K) or (N, T, K), the softmax of the logits.

        Raises:
            ValueError: the outputs are values.
        """
        self._check()
        odds = np.exp(self.outputs - self.outputs.max(-1, keepdims=True))
        return odds / odds.sum(-1, keepdims=True)

    def _check(self) -> None:
        if self.objective is not CLASSES:
            raise ValueError("the model predicts real values, not classes: use outputs")
