"""The scaling of real-valued inputs: chosen on training data, kept with the model."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """Standardises inputs: x becomes (x - mean) / deviation.

    Attributes:
        mean, deviation: of each of C features, finite; the deviations are positive.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        values = np.array([self.mean, self.deviation], float)  # refuses unequal lengths
        if values.ndim != 2 or not np.isfinite(values).all() or (values[1] <= 0).any():
            raise ValueError("the scaling must have a finite mean and a deviation above 0 each")

    @classmethod
    def of(cls, inputs: np.ndarray) -> "Scaling":
        """The scaling by which ``inputs`` (N, T, C) have a mean of 0 and a deviation of 1."""
        x = inputs.astype(np.float64)
        return cls(tuple(x.mean((0, 1)).tolist()), tuple(x.std((0, 1)).tolist()))

    @classmethod
    def from_json(cls, value: Any) -> "Scaling":
        """The scaling that a model file holds, as ``asdict`` gives it."""
        return cls(tuple(map(float, value["mean"])), tuple(map(float, value["deviation"])))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Scaled inputs, float32 (..., C).

        Raises:
            ValueError: they have another number of features.
        """
        if np.shape(inputs)[-1] != len(self.mean):
            raise ValueError(
                f"inputs must have {len(self.mean)} features, not {np.shape(inputs)[-1]}"
            )
        scaled = (np.asarray(inputs, np.float64) - self.mean) / self.deviation
        return scaled.astype(np.float32)
