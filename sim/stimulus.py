"""How a simulation drives the accelerator's streams."""

from dataclasses import dataclass
from pathlib import Path

PATIENCE = 100_000
"""Cycles without a transfer on either stream after which a simulation is given up."""


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """How the two streams are driven.

    Args:
        stall: probability, each cycle, that the host holds a command back, and, drawn apart,
            that it does not take a reply. In [0, 1).
        seed: of those draws.
        waves: a VCD file to record to, if any.
    """

    stall: float = 0.0
    seed: int = 0
    waves: Path | None = None

    def __post_init__(self):
        if not 0 <= self.stall < 1:
            raise ValueError(f"stall must be a probability in [0, 1), not {self.stall!r}")


def silence(outstanding: int, replies: int) -> str:
    """The message for an accelerator that no longer answers."""
    return (
        f"the accelerator fell silent: no transfer for {PATIENCE} cycles, "
        f"{outstanding} of {replies} replies are missing"
    )
