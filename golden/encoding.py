"""Encoders of dense real-valued inputs: what is not zero costs, so they leave most values out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = ("send-on-delta", "threshold")


@dataclass(frozen=True)
class Encoder:
    """Leaves out what tells little, separately for each feature.

    * "send-on-delta" gives the change since the last change that it gave, or since 0, where that is
      at least the threshold, and 0 elsewhere. What it has given adds up to the input, but for less
      than the threshold.
    * "threshold" gives values of at least the threshold, in magnitude, and 0 elsewhere.

    Attributes:
        kind: one of :data:`KINDS`.
        threshold: above 0, in units of the inputs that it gets, which are scaled ones.
    """

    kind: str
    threshold: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"an encoder must be {' or '.join(KINDS)}, not {self.kind!r}")
        if not 0 < self.threshold < np.inf:
            raise ValueError(
                f"the threshold of an encoder must be above 0 and finite, not {self.threshold}"
            )

    @classmethod
    def from_json(cls, value: Any) -> "Encoder":
        """The encoder that a model file holds, as ``asdict`` gives it."""
        return cls(str(value["kind"]), float(value["threshold"]))

    def step(self, inputs: np.ndarray, sent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What becomes of the inputs of a step, and what was sent so far, all (..., C) float32;
        nothing, 0, was sent before a sequence."""
        inputs = np.asarray(inputs, np.float32)
        change = inputs - sent if self.kind == "send-on-delta" else inputs
        # NaN is given, too: it must not be hidden.
        given = np.where(np.abs(change) < np.float32(self.threshold), np.float32(0), change)
        return given, sent + given

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """What becomes of sequences (N, T, C) from their beginning, float32."""
        encoded = np.empty(inputs.shape, np.float32)
        sent = np.zeros_like(encoded[:, 0])
        for t in range(inputs.shape[1]):
            encoded[:, t], sent = self.step(inputs[:, t], sent)
        return encoded
