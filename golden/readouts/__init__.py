"""Read-out kinds: when the last layer's events are summed up and read, one file for each.

Another kind is a file here and a line in the table below.
"""

from golden.readouts.base import ReadoutKind
from golden.readouts.mean import Mean
from golden.readouts.steps import EveryStep

__all__ = ["READOUTS", "ReadoutKind", "readout_kind"]

READOUTS: dict[str, ReadoutKind] = {kind.name: kind for kind in (Mean(), EveryStep())}


def readout_kind(name: str) -> ReadoutKind:
    """The read-out kind called ``name``; ``ValueError`` lists the known ones."""
    if name not in READOUTS:
        raise ValueError(f"readout must be {' or '.join(map(repr, READOUTS))}, not {name!r}")
    return READOUTS[name]
