"""What becomes of a user's real inputs before a network reads them."""

from dataclasses import dataclass

import numpy as np

from golden.encoding import Encoder
from golden.scaling import Scaling


@dataclass(frozen=True)
class Preparation:
    """Scaling, then encoding, each if the model was trained so.

    Attributes:
        scaling: None for inputs as they are.
        encoder: None if all scaled inputs are read.
    """

    scaling: Scaling | None = None
    encoder: Encoder | None = None

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Sequences (N, T, C), from their beginning."""
        scaled = self.scaling(inputs) if self.scaling else inputs
        return self.encoder(scaled) if self.encoder else scaled

    def step(self, inputs: np.ndarray, sent: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The inputs (C,) of one step of a sequence, and what its encoder has sent, for the next
        step; None before the first."""
        scaled = np.asarray(self.scaling(inputs) if self.scaling else inputs)
        sent = np.zeros(scaled.shape, np.float32) if sent is None else sent
        return self.encoder.step(scaled, sent) if self.encoder else (scaled, sent)
