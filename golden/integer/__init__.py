"""The specification: the integer EGRU, which hardware matches bit for bit. Needs only NumPy."""

from golden.integer.arithmetic import Units, layer_steps, step
from golden.integer.layer import GATES, SUM_TABLE, SUMS, IntegerLayer
from golden.integer.model import IntegerEGRU, IntegerResult, IntegerState
from golden.integer.readout import IntegerReadout

__all__ = [
    "GATES",
    "SUMS",
    "SUM_TABLE",
    "IntegerEGRU",
    "IntegerLayer",
    "IntegerReadout",
    "IntegerResult",
    "IntegerState",
    "Units",
    "layer_steps",
    "step",
]
