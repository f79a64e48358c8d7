"""Configurations that hold a model, what it costs on each, and which of them are worth having."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from egru_hw.contract.config import GATE_COUNT, PRESETS, Config
from egru_hw.contract.image import fits, needs
from egru_hw.contract.protocol import Counter
from egru_hw.cost import energy
from egru_hw.cost.area import Area, area
from egru_hw.cost.cycles import Cost, cost
from egru_hw.cost.energy import Energy
from golden.integer import IntegerEGRU, IntegerResult

Variants = Mapping[str, Mapping[str, int]]
"""What each variant of a board has: see :func:`egru_hw.cost.area.variants`."""

LANES = (12, 24, 48, 96)
UNITS_PER_CYCLE = (1, 2)
READOUT_LANES = (1, 8)


@dataclass(frozen=True)
class Candidate:
    """A configuration to try, and its name if it is a preset's."""

    config: Config
    preset: str | None = None

    def __str__(self) -> str:
        c = self.config
        sizes = f"lanes={c.lanes} units_per_cycle={c.units_per_cycle} "
        return self.preset or f"{sizes}readout_lanes={c.readout_lanes}"


@dataclass(frozen=True)
class Point:
    """What a model costs on a candidate.

    Attributes:
        cost: cycles and what else the accelerator counts.
        area: what the candidate takes of an FPGA.
        variants: those of the board that it fits, the smallest first; at least one.
        energy: of a step on the smallest variant; an estimate.
    """

    candidate: Candidate
    cost: Cost
    area: Area
    variants: tuple[str, ...]
    energy: Energy

    @property
    def cycles_per_step(self) -> float:
        return self.cost.counters[Counter.CYCLES] / self.cost.steps


def candidates(model: IntegerEGRU, variants: Variants) -> list[Candidate]:
    """The presets that hold ``model``, and a grid of configurations just large enough for it.

    Without those that fit no variant.
    """
    presets = {config: name for name, config in sorted(PRESETS.items(), reverse=True)}
    found = [Candidate(config, name) for config, name in presets.items()]
    found += [
        Candidate(smallest(model, lanes, units, readout))
        for lanes, units, readout in product(LANES, UNITS_PER_CYCLE, READOUT_LANES)
        if units <= lanes // GATE_COUNT
    ]
    return [
        candidate
        for candidate in found
        if fits(model, candidate.config) and _fitting(area(candidate.config), variants)
    ]


def smallest(model: IntegerEGRU, lanes: int, units_per_cycle: int, readout_lanes: int) -> Config:
    """The smallest configuration of that width that holds ``model``."""
    columns = lanes // GATE_COUNT
    config = Config(
        lanes=lanes,
        units_per_cycle=units_per_cycle,
        max_units=columns,
        max_inputs=1,
        max_outputs=1,
        max_layers=1,
        weight_rows=1,
        readout_lanes=readout_lanes,
    )
    least = {name: max(1, needed) for name, needed in needs(model, config).items()}
    least["max_units"] = -(-least["max_units"] // columns) * columns
    return replace(config, **least)


def evaluate(
    candidate: Candidate,
    model: IntegerEGRU,
    result: IntegerResult,
    mhz: float,
    variants: Variants,
) -> Point:
    """What ``result``, computed by ``model``, costs on a candidate with a clock of ``mhz``.

    ``ValueError`` if the candidate fits no variant.
    """
    config, needed = candidate.config, area(candidate.config)
    if not (fitting := _fitting(needed, variants)):
        raise ValueError(f"{candidate} fits no variant of the board ({', '.join(variants)})")
    found = cost(model, result, config)
    counts = energy.counted(model, result, found, config, needed)
    cycles = found.counters[Counter.CYCLES] / found.steps
    estimate = energy.energy(counts, cycles, mhz, fitting[0])
    return Point(candidate, found, needed, fitting, estimate)


def _fitting(needed: Area, variants: Variants) -> tuple[str, ...]:
    return tuple(name for name, available in variants.items() if needed.fits(available))


def pareto(points: Sequence[Sequence[float]]) -> list[bool]:
    """Whether each point is such that no other is as low in every value and lower in one."""
    return [
        not any(
            all(a <= b for a, b in zip(other, point, strict=True)) and tuple(other) != tuple(point)
            for other in points
        )
        for point in points
    ]
