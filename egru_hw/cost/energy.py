"""An estimate of the energy of a step: what is counted, times the table ``energy.toml``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.protocol import Counter
from egru_hw.cost.area import Area
from egru_hw.cost.cycles import Cost
from golden.integer import IntegerEGRU, IntegerResult

TABLE = Path(__file__).with_name("energy.toml")
BLOCK_RAM_BITS = 9  # of a word of a block RAM as deep as the weight store
PICO_PER_NANO = 1000.0


class Range(NamedTuple):
    """Low, typical and high value."""

    low: float
    typical: float
    high: float


@dataclass(frozen=True)
class Energy:
    """Energy of a step in nJ. An estimate: no figure of the table was measured on a board."""

    dynamic: Range
    static: Range

    @property
    def total(self) -> Range:
        return Range(*np.add(self.dynamic, self.static).tolist())


@cache
def table() -> dict[str, dict[str, Any]]:
    """``energy.toml``."""
    return tomllib.loads(TABLE.read_text())


def counted(
    model: IntegerEGRU, result: IntegerResult, found: Cost, config: Config, area: Area
) -> dict[str, float]:
    """What a step does on average, by the names of the table."""
    counters, steps = found.counters, found.steps
    events = sum(int(np.count_nonzero(layer)) for layer in result.events)
    last_layer = int(np.count_nonzero(result.events[-1]))
    inputs = int(result.input_events[0].sum())
    blocks_per_row = -(-config.row_bits // BLOCK_RAM_BITS)
    total = {
        "mac": counters[Counter.MACS] + last_layer * model.outputs,
        "block_ram": counters[Counter.ROWS] * blocks_per_row,
        "event": events + inputs,
        "unit_update": steps * sum(model.hidden_sizes),
        "clock": counters[Counter.CYCLES] * area.used["flip-flops"],
    }
    return {name: count / steps for name, count in total.items()}


def energy(counts: Mapping[str, float], cycles: float, mhz: float, variant: str) -> Energy:
    """The energy of a step of ``cycles`` cycles on a variant.

    Static energy is that of the step alone: a part that waits between steps takes more.
    """
    known = table()
    dynamic = sum(
        np.array(known[name]["range"]) * count / PICO_PER_NANO for name, count in counts.items()
    )
    # Watts times microseconds are microjoules.
    static = np.array(known["static"][variant]) * cycles / mhz * 1e3
    return Energy(Range(*np.asarray(dynamic).tolist()), Range(*static.tolist()))
