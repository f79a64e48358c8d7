"""Read-out kinds: when the last layer's events are summed up and read, one file for each.

A new kind is a file with a ``KIND`` here, and its name in the list below.
"""

from importlib import import_module

from golden.readouts.base import ReadoutKind

__all__ = ["READOUTS", "ReadoutKind", "readout_kind"]

NAMES = [
    "mean",
    "steps",
    "last",
]
READOUTS: dict[str, ReadoutKind] = {
    name: import_module(f"golden.readouts.{name}").KIND for name in NAMES
}


def readout_kind(name: str) -> ReadoutKind:
    """The read-out kind called ``name``; ``ValueError`` lists the known ones."""
    if name not in READOUTS:
        raise ValueError(f"readout must be {' or '.join(map(repr, READOUTS))}, not {name!r}")
    return READOUTS[name]
