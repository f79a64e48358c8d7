"""The numerics of the integer EGRU: all formats, roundings and tables, stated once.

The integer model computes with these, the accelerator's signals take their widths from them,
and ``docs/numerics.md`` explains them. Nothing here needs torch or Amaranth.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Format:
    """A fixed-point format: ``width`` bits, ``fraction`` of them after the point.

    A raw integer ``n`` stands for ``n / 2**fraction``. ``symmetric`` leaves out the most
    negative code of a signed format, so that every value can be negated.
    """

    width: int
    fraction: int
    signed: bool = True
    symmetric: bool = False

    @property
    def max(self) -> int:
        return (1 << (self.width - self.signed)) - 1

    @property
    def min(self) -> int:
        return (-self.max if self.symmetric else -self.max - 1) if self.signed else 0

    @property
    def scale(self) -> float:
        """Real value of one least significant bit."""
        return 2.0**-self.fraction

    def quantize(self, real) -> np.ndarray:
        """Nearest raw integer (ties to even), saturated."""
        raw = np.rint(np.asarray(real, dtype=np.float64) / self.scale)
        return np.clip(raw, self.min, self.max).astype(np.int64)

    def real(self, raw) -> np.ndarray:
        return np.asarray(raw, dtype=np.float64) * self.scale

    def saturate(self, raw) -> np.ndarray:
        return np.clip(raw, self.min, self.max)

    def holds(self, raw) -> bool:
        """Whether every element of ``raw`` is a code of this format."""
        raw = np.asarray(raw)
        return bool(raw.size == 0 or (raw.min() >= self.min and raw.max() <= self.max))

    def __str__(self) -> str:
        name = "SQ" if self.signed else "UQ"
        return f"{name}({self.width - self.fraction}, {self.fraction})"


def weight_format(bits: int = 8, fraction: int = 0) -> Format:
    """Weights: signed and symmetric; each matrix has its own ``fraction``."""
    return Format(bits, fraction, symmetric=True)


STATE = Format(16, 15, symmetric=True)  # c, h, g: (-1, 1)
THRESHOLD = Format(16, 15, signed=False)  # [0, 1]; only codes up to THRESHOLD_ONE are used
THRESHOLD_ONE = 1 << THRESHOLD.fraction
EVENT = Format(8, 8, signed=False)  # an event's value y, (0, 1)
VALUE_BITS = 9  # signed; for event values and quantised inputs
OPERAND = Format(18, 0)  # an aligned value, which multiplies a weight
ACCUMULATOR = Format(24, 16)
BIAS = Format(16, 11)
READOUT_ACCUMULATOR = Format(32, 0)  # scale depends on the read-out's weights

GATE = Format(16, 16, signed=False)  # r and z, in (0, 1)
RECURRENT_GATE_INPUT = Format(18, 13)  # q_g as a factor of r * q_g

TABLE = Format(16, 15, signed=False)
TABLE_INDEX_BITS = 10
TABLE_MAX_INDEX = (1 << TABLE_INDEX_BITS) - 1
TANH_INDEX_FRACTION = 8  # tanh is looked up at steps of 1/256, up to 4
SIGMOID_INDEX_FRACTION = 7  # sigmoid(x) = (1 + tanh(x / 2)) / 2: steps of 1/128, up to 8

BIAS_SHIFT = ACCUMULATOR.fraction - BIAS.fraction
SIGMOID_SHIFT = ACCUMULATOR.fraction - SIGMOID_INDEX_FRACTION
TANH_SHIFT = ACCUMULATOR.fraction - TANH_INDEX_FRACTION
RECURRENT_GATE_SHIFT = ACCUMULATOR.fraction - RECURRENT_GATE_INPUT.fraction
RESET_PRODUCT_SHIFT = GATE.fraction + RECURRENT_GATE_INPUT.fraction - ACCUMULATOR.fraction
EVENT_SHIFT = STATE.fraction - EVENT.fraction
MAX_ALIGNMENT = OPERAND.width - VALUE_BITS
MAX_FRACTION = 1000  # or -1000, of inputs and read-outs, whose scales are then normal float64


def round_shift(raw, shift: int):
    """Divide by ``2**shift``, rounding half up: add half, shift right.

    Works on integers, NumPy arrays and Amaranth values.
    """
    return (raw + (1 << (shift - 1))) >> shift


@cache
def tanh_table() -> tuple[int, ...]:
    """``tanh(i / 256)`` in TABLE for ``i`` from 0 to 1023: the only table.

    Correctly rounded with any libm: no entry lies within 1e-3 of a tie.
    """
    index = np.arange(TABLE_MAX_INDEX + 1)
    return tuple(int(v) for v in TABLE.quantize(np.tanh(index / 2**TANH_INDEX_FRACTION)))
