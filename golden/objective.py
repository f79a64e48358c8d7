"""What outputs are compared with, classes or real values: targets, loss and metric.

Sums and metrics work on NumPy arrays and on PyTorch tensors alike; only losses need PyTorch.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np


class Objective(ABC):
    """What a network is trained for.

    Outputs are (..., K). Of the targets, those that :meth:`scored` selects count.

    Attributes:
        name: as in model files.
        metric: what is reported beside the loss, as a key in results and histories.
        title, form: the metric's name and number format in texts.
    """

    name: ClassVar[str]
    metric: ClassVar[str]
    title: ClassVar[str]
    form: ClassVar[str]

    @abstractmethod
    def check(self, where: str, targets: np.ndarray, shape: tuple[int, ...], outputs: int) -> None:
        """Refuse arrays that are no targets of ``shape`` sequences or steps.

        Raises:
            ValueError: starting with ``where``.
        """

    @abstractmethod
    def scored(self, targets: Any) -> Any:
        """Which of the targets count, of the targets' shape."""

    def weight(self, targets: np.ndarray) -> float:
        """Of ``targets`` together in :meth:`loss`; their number, unless some weigh more."""
        return float(self.scored(targets).sum())

    @abstractmethod
    def loss(self, outputs: Any, targets: Any) -> Any:
        """The weighted mean loss of scored targets; tensors only."""

    @abstractmethod
    def sums(self, outputs: Any, targets: Any) -> list[Any]:
        """Numbers of which :meth:`measure` makes the metric; those of several batches add up."""

    @abstractmethod
    def measure(self, sums: np.ndarray) -> float:
        """The metric; the higher, the better."""

    @abstractmethod
    def explain(self, loss: float) -> str:
        """The unit of a loss, and the loss in other units."""


class Classes(Objective):
    """A class 0 to K - 1 for each sequence or step, int64 (...); -1 is not scored.

    Args:
        weights: (K,) of the classes in the loss; all 1 if omitted.
    """

    name, metric, title, form = "classes", "accuracy", "accuracy", ".2%"

    def __init__(self, weights: np.ndarray | None = None):
        self.weights = weights

    @classmethod
    def balanced(cls, targets: np.ndarray, outputs: int) -> "Classes":
        """The objective in whose loss the K = ``outputs`` classes of ``targets`` count alike: each
        weight is the average number of targets of a class, divided by the class's own."""
        counts = np.bincount(targets[targets >= 0], minlength=outputs)
        return cls(counts.sum() / outputs / np.maximum(counts, 1))

    def weight(self, targets):
        scored = targets[self.scored(targets)]
        return float(len(scored) if self.weights is None else self.weights[scored].sum())

    def check(self, where, targets, shape, outputs):
        if targets.dtype != np.int64 or targets.shape != shape:
            raise ValueError(
                f"{where} must be int64 of shape {shape}, not {targets.dtype} of shape "
                f"{targets.shape}"
            )
        if not -1 <= targets.min() <= targets.max() < outputs:
            raise ValueError(
                f"{where} must be classes 0 to {outputs - 1}, or -1 where none is scored, "
                f"not {targets.min()} to {targets.max()}"
            )
        if targets.max() < 0:
            raise ValueError(f"{where} must not all be -1: none is scored")

    def scored(self, targets):
        return targets >= 0

    def loss(self, outputs, targets):
        """Cross-entropy in nats."""
        from torch.nn import functional as F

        weights = None if self.weights is None else outputs.new_tensor(self.weights)
        logits, classes = outputs.flatten(0, -2), targets.flatten()
        return F.cross_entropy(logits, classes, weights, ignore_index=-1)

    def sums(self, outputs, targets):
        return [(outputs.argmax(-1) == targets).sum(), self.scored(targets).sum()]

    def measure(self, sums):
        """The share of scored targets that have the largest output."""
        right, count = sums
        return float(right / count)

    def explain(self, loss):
        with np.errstate(over="ignore"):
            perplexity = np.exp(np.float64(loss))
        return f"nats; {loss / np.log(2):.4f} bits; perplexity {perplexity:.4g}"


class Values(Objective):
    """K real values for each sequence or step, float32 (..., K); NaN is not scored."""

    name, metric, title, form = "values", "r2", "R²", ".4f"

    def check(self, where, targets, shape, outputs):
        expected = (*shape, outputs)
        if targets.dtype != np.float32 or targets.shape != expected:
            raise ValueError(
                f"{where} must be float32 of shape {expected}, not {targets.dtype} of shape "
                f"{targets.shape}"
            )
        if np.isinf(targets).any():
            raise ValueError(f"{where} must be finite, or NaN where none is scored")
        if np.isnan(targets).all():
            raise ValueError(f"{where} must not all be NaN: none is scored")

    def scored(self, targets):
        return targets == targets  # NaN is not equal to itself

    def loss(self, outputs, targets):
        """The mean squared error."""
        scored = self.scored(targets)
        return (outputs[scored] - targets[scored]).square().mean()

    def sums(self, outputs, targets):
        found = []
        for output in range(targets.shape[-1]):
            scored = self.scored(targets[..., output])
            values = targets[..., output][scored]
            errors = outputs[..., output][scored] - values
            found += [(errors**2).sum(), (values**2).sum(), values.sum(), scored.sum()]
        return found

    def measure(self, sums):
        """R², the share of the targets' variance that the outputs explain; 0 if there is none."""
        errors, squares, values, counts = np.reshape(sums, (-1, 4)).T
        variance = (squares - values**2 / np.maximum(counts, 1)).sum()
        return float(1 - errors.sum() / variance) if variance > 0 else 0.0

    def explain(self, loss):
        return f"mean squared error; its root is {loss**0.5:.4g}"


CLASSES, VALUES = Classes(), Values()
OBJECTIVES: dict[str, Objective] = {objective.name: objective for objective in (CLASSES, VALUES)}
