"""The sizes of an accelerator: one frozen object for hardware, host and boards."""

import json
import zlib
from dataclasses import asdict, dataclass
from math import ceil

from golden.integer import GATES

GATE_COUNT = len(GATES)
INDEX_BITS = 12  # of a packet; limits inputs, units and outputs


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def bits_for(count: int) -> int:
    """Bits needed to distinguish ``count`` values, at least one."""
    return max(1, (count - 1).bit_length())


@dataclass(frozen=True, kw_only=True)
class Config:
    """The sizes fixed when hardware is built. Models up to the maxima are loaded at run time.

    Args:
        lanes: multiply-accumulates per cycle; 3 (one a gate) times a power of two.
        units_per_cycle: units that the unit update finishes per cycle; a power of two,
            at most ``lanes / 3``.
        max_units: units of all layers together, each layer rounded up to whole groups of
            ``units_per_cycle``.
        max_inputs: input features.
        max_outputs: values of the read-out.
        max_layers: stacked layers.
        weight_rows: depth of the weight store in rows of ``lanes`` weights; an event of a
            layer of H units reads ``ceil(3H / lanes)`` of them.
        readout_lanes: lanes of the read-out; a power of two.
        weight_bits: width of a weight.
    """

    lanes: int
    units_per_cycle: int
    max_units: int
    max_inputs: int
    max_outputs: int
    max_layers: int
    weight_rows: int
    readout_lanes: int
    weight_bits: int = 8

    def __post_init__(self):
        for name, value in asdict(self).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        if self.lanes % GATE_COUNT or not _power_of_two(self.lanes // GATE_COUNT):
            raise ValueError(f"lanes must be three times a power of two, not {self.lanes!r}")
        if not _power_of_two(self.units_per_cycle) or self.units_per_cycle > self.columns:
            raise ValueError(
                "units_per_cycle must be a power of two and at most lanes / 3, "
                f"not {self.units_per_cycle!r} with {self.lanes} lanes"
            )
        if not _power_of_two(self.readout_lanes):
            raise ValueError(f"readout_lanes must be a power of two, not {self.readout_lanes!r}")
        if self.max_units % self.columns:
            raise ValueError(
                f"max_units must be a multiple of lanes / 3 = {self.columns}, "
                f"not {self.max_units!r}"
            )
        for name in ("max_units", "max_inputs", "max_outputs"):
            if getattr(self, name) > (limit := 1 << INDEX_BITS):
                raise ValueError(f"{name} must be at most {limit}, not {getattr(self, name)!r}")
        if not 2 <= self.weight_bits <= 8:
            raise ValueError(f"weight_bits must lie in 2 ... 8, not {self.weight_bits!r}")

    @property
    def columns(self) -> int:
        """Units per row of weights, with three gates each."""
        return self.lanes // GATE_COUNT

    @property
    def max_pitch(self) -> int:
        """Rows read per event by the largest layer, and words of its accumulators."""
        return self.max_units // self.columns

    @property
    def groups(self) -> int:
        """Words of the state and parameter memories, ``units_per_cycle`` units each."""
        return self.max_units // self.units_per_cycle

    @property
    def readout_pitch(self) -> int:
        """Rows of the read-out's weights per event, at most."""
        return ceil(self.max_outputs / self.readout_lanes)

    @property
    def readout_rows(self) -> int:
        return (self.max_units + 1) * self.readout_pitch  # one for the bias

    @property
    def row_bits(self) -> int:
        return self.lanes * self.weight_bits

    def pitch(self, units: int) -> int:
        """Rows of weights per event into a layer of ``units``."""
        return ceil(units / self.columns)

    def layer_groups(self, units: int) -> int:
        """Cycles to update a layer of ``units``."""
        return ceil(units / self.units_per_cycle)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Config":
        return cls(**json.loads(text))

    @property
    def fingerprint(self) -> int:
        """32 bits that identify the hardware of this configuration to a host."""
        return zlib.crc32(self.to_json().encode())


PRESETS = {
    # 28 multipliers: 24 lanes, 2 for the unit update, 1 for the read-out.
    "ulx3s-12f": Config(
        lanes=24,
        units_per_cycle=1,
        max_units=128,
        max_inputs=256,
        max_outputs=65,
        max_layers=4,
        weight_rows=3072,
        readout_lanes=1,
    ),
    # 72 multipliers, 108 block RAMs.
    "ulx3s-45f": Config(
        lanes=48,
        units_per_cycle=2,
        max_units=192,
        max_inputs=256,
        max_outputs=128,
        max_layers=4,
        weight_rows=2048,
        readout_lanes=8,
    ),
    # 156 multipliers, 208 block RAMs.
    "ulx3s-85f": Config(
        lanes=96,
        units_per_cycle=2,
        max_units=256,
        max_inputs=256,
        max_outputs=128,
        max_layers=4,
        weight_rows=2048,
        readout_lanes=8,
    ),
    # Small enough for Amaranth's own simulator.
    "tiny": Config(
        lanes=6,
        units_per_cycle=1,
        max_units=16,
        max_inputs=16,
        max_outputs=8,
        max_layers=3,
        weight_rows=256,
        readout_lanes=2,
    ),
}
PRESETS["ulx3s-25f"] = PRESETS["ulx3s-12f"]  # the same die


def preset(name: str) -> Config:
    """The preset ``name``; ``ValueError`` lists the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ValueError(f"no preset {name!r}; use one of {', '.join(sorted(PRESETS))}") from None
