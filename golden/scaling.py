"""The scaling of real numbers, inputs or targets: chosen on training data, kept with the model."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """Standardises numbers: x becomes (x - mean) / deviation.

    Attributes:
        mean, deviation: of each of C features or targets, finite; the deviations are positive.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        values = np.array([self.mean, self.deviation], float)  # refuses unequal lengths
        if values.ndim != 2 or not np.isfinite(values).all() or (values[1] <= 0).any():
            raise ValueError("the scaling must have a finite mean and a deviation above 0 each")

    @classmethod
    def of(cls, values: np.ndarray) -> "Scaling":
        """The scaling that gives ``values`` (..., C) a mean of 0 and a deviation of 1; NaN does not
        count."""
        x = values.astype(np.float64).reshape(-1, values.shape[-1])
        return cls(tuple(np.nanmean(x, 0).tolist()), tuple(np.nanstd(x, 0).tolist()))

    @classmethod
    def from_json(cls, value: Any) -> "Scaling":
        """The scaling that a model file holds, as ``asdict`` gives it."""
        return cls(tuple(map(float, value["mean"])), tuple(map(float, value["deviation"])))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Scaled values, float32 (..., C).

        Raises:
            ValueError: they are of another number of features.
        """
        if np.shape(values)[-1] != len(self.mean):
            raise ValueError(
                f"inputs must have {len(self.mean)} features, not {np.shape(values)[-1]}"
            )
        scaled = (np.asarray(values, np.float64) - self.mean) / self.deviation
        return scaled.astype(np.float32)

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """The values (..., C), float64, that become ``scaled``."""
        return np.asarray(scaled, np.float64) * self.deviation + self.mean
