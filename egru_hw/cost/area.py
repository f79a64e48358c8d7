"""What an accelerator takes of an FPGA, from the record of builds in ``builds.json``."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from egru_hw.contract.config import Config

BUILDS = Path(__file__).with_name("builds.json")
"""Written by ``tools/record_builds.py``."""

BLOCK_RAMS = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
"""Shapes of an ECP5's block RAM: words, and bits of each."""

RESOURCES = ("LUTs", "flip-flops", "block RAMs", "multipliers")


@dataclass(frozen=True)
class Build:
    """A recorded build.

    Attributes:
        config: sizes of the accelerator.
        used: how many of each of ``RESOURCES`` it uses.
        available: how many the FPGA has.
        mhz: clock that it reaches; None if it was synthesised only.
        placement_seed: seed of place and route; None if it was synthesised only.
        tools: version of each tool by name.
    """

    board: str
    variant: str
    config: Config
    used: Mapping[str, int]
    available: Mapping[str, int]
    mhz: float | None
    placement_seed: int | None
    tools: Mapping[str, str]

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Build":
        """A record as ``tools/record_builds.py`` writes it."""
        uses = record["resources"]
        return cls(
            board=record["board"],
            variant=record["variant"],
            config=Config(**record["config"]),
            used={name: uses[name]["used"] for name in RESOURCES},
            available={name: uses[name]["available"] for name in RESOURCES},
            mhz=record["mhz"],
            placement_seed=record["placement_seed"],
            tools=record["tools"],
        )


@dataclass(frozen=True)
class Area:
    """What a configuration takes.

    Attributes:
        used: how many of each of ``RESOURCES``.
        mhz: clock that it reaches.
        build: the recorded build of exactly this configuration that ``used`` is from; None if
            ``used`` is interpolated between builds of other configurations.
        placed: the same for ``mhz``.
    """

    used: Mapping[str, int]
    mhz: float
    build: Build | None
    placed: Build | None

    def fits(self, available: Mapping[str, int]) -> bool:
        """Whether a device has enough of every resource."""
        return all(self.used[name] <= available[name] for name in RESOURCES)


@cache
def recorded() -> tuple[Build, ...]:
    """All recorded builds."""
    return tuple(map(Build.from_json, json.loads(BUILDS.read_text())))


def variants(board: str) -> dict[str, Mapping[str, int]]:
    """What each recorded variant of ``board`` has of ``RESOURCES``, the smallest first."""
    found = {b.variant: b.available for b in recorded() if b.board == board}
    return dict(sorted(found.items(), key=lambda item: (item[1]["LUTs"], item[0])))


def area(config: Config, builds: Iterable[Build] | None = None) -> Area:
    """The area of ``config``: recorded, or interpolated by least squares.

    A resource is taken to be linear in the sizes of the parts of the accelerator
    (:func:`_sizes`), the clock in the number of lanes.
    """
    builds = recorded() if builds is None else tuple(builds)
    same = [build for build in builds if build.config == config]
    placed = next((build for build in same if build.mhz), None)
    build = placed or next(iter(same), None)
    if placed:
        mhz = placed.mhz
    else:
        clocks = np.array(sorted((b.config.lanes, b.mhz) for b in builds if b.mhz))
        mhz = float(np.interp(config.lanes, clocks[:, 0], clocks[:, 1]))
    assert mhz
    return Area(build.used if build else _interpolated(config, builds), mhz, build, placed)


def _interpolated(config: Config, builds: Iterable[Build]) -> dict[str, int]:
    sizes = np.array([_sizes(build.config) for build in builds])
    scale = sizes.max(0)
    found = {}
    for name in RESOURCES:
        used = np.array([build.used[name] for build in builds])
        slopes = np.linalg.lstsq(sizes / scale, used, rcond=None)[0]
        found[name] = max(0, ceil(round(float(slopes @ (_sizes(config) / scale)), 6)))
    return found


def _sizes(config: Config) -> np.ndarray:
    """Sizes of the parts of an accelerator that its resources grow with."""
    return np.array(
        [
            1,
            config.lanes,
            config.units_per_cycle,
            config.readout_lanes,
            _blocks(config.weight_rows, config.row_bits),
            _blocks(config.readout_rows, config.readout_lanes * config.weight_bits),
        ],
        float,
    )


def _blocks(depth: int, width: int) -> int:
    """Block RAMs of one shape that a memory of ``depth`` words takes."""
    return min(-(-depth // words) * -(-width // bits) for words, bits in BLOCK_RAMS)
