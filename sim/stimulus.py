"""How a simulation drives the accelerator's streams."""

from dataclasses import dataclass
from pathlib import Path

PATIENCE = 100_000
"""A simulation fails after this many cycles without a transfer on either stream."""


WAVES_LIMIT = 10**9
"""Verilator stops recording waveforms when their file has about this many bytes."""


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """How the two streams are driven.

    Args:
        stall: probability per cycle, in [0, 1), that the host withholds a command; independently
            also that it does not accept a reply.
        seed: seed of the stalls.
        waves: file of waveforms to record, if any: VCD, or FST under Verilator.
    """

    stall: float = 0.0
    seed: int = 0
    waves: Path | None = None

    def __post_init__(self):
        if not 0 <= self.stall < 1:
            raise ValueError(f"stall must be a probability in [0, 1), not {self.stall!r}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, not {self.seed}")


def silence(outstanding: int, replies: int) -> str:
    """The error message for an accelerator that stops replying."""
    return (
        f"the accelerator stopped replying: no transfer for {PATIENCE} cycles, "
        f"{outstanding} of {replies} replies are missing"
    )
