"""Areas: those of recorded builds, and others in between."""

from dataclasses import replace

import numpy as np
import pytest

from egru_hw.contract.config import PRESETS, preset
from egru_hw.cost.area import RESOURCES, Build, area, recorded, variants

BASE = preset("ulx3s-85f")


def build(config, used: dict[str, int], mhz: float | None = None) -> Build:
    everything = dict.fromkeys(RESOURCES, 0) | used
    return Build("board", "part", config, everything, everything, mhz, None, {})


def linear(config) -> int:
    return 1000 + 40 * config.lanes + 300 * config.units_per_cycle + 7 * config.readout_lanes


GRID = [
    replace(BASE, lanes=lanes, units_per_cycle=units, readout_lanes=readout, weight_rows=rows)
    for lanes, units, readout, rows in (
        (24, 1, 1, 64), (48, 1, 2, 512), (96, 1, 4, 2048), (24, 2, 8, 512), (48, 4, 1, 2048),
        (96, 2, 8, 64), (96, 4, 16, 512), (12, 1, 4, 256),
    )
]  # fmt: skip


def test_a_recorded_configuration_has_the_figures_of_its_build():
    for found in recorded():
        known = area(found.config)
        assert known.build is not None
        assert known.used == known.build.used
        if found.mhz:
            assert known.placed is not None
            assert known.mhz == known.placed.mhz


def test_the_clock_of_a_configuration_without_a_placed_build_is_interpolated():
    builds = [build(GRID[0], {}, 90.0), build(GRID[2], {}, 80.0), build(GRID[1], {"LUTs": 5})]
    found = area(GRID[1], builds)
    assert (found.used["LUTs"], found.build, found.placed) == (5, builds[2], None)
    assert found.mhz == pytest.approx(90 - 10 * (48 - 24) / (96 - 24))


def test_resources_that_grow_linearly_are_interpolated_exactly():
    seed = int(np.random.default_rng().integers(1 << 32))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    builds = [build(config, {"LUTs": linear(config)}, 80.0) for config in GRID]
    for _ in range(20):
        config = replace(
            BASE,
            lanes=int(rng.choice([12, 24, 48, 96])),
            units_per_cycle=int(rng.choice([1, 2, 4])),
            readout_lanes=int(rng.choice([1, 2, 4, 8, 16])),
            weight_rows=int(rng.integers(64, 2048)),
        )
        found = area(config, builds)
        assert found.used["LUTs"] == linear(config)
        assert (found.build is None) == (config not in GRID)


def test_the_multipliers_are_those_of_lanes_updates_and_readout():
    for found in recorded():
        config = found.config
        needed = config.lanes + 2 * config.units_per_cycle + config.readout_lanes
        assert area(config).used["multipliers"] == needed


def test_a_recorded_build_is_interpolated_well_from_all_others():
    tolerances = {"LUTs": 0.2, "flip-flops": 0.12, "block RAMs": 0.06, "multipliers": 0}
    assert tolerances.keys() == set(RESOURCES)
    for found in recorded():
        guess = area(found.config, [b for b in recorded() if b.config != found.config])
        assert guess.build is None
        for name, tolerance in tolerances.items():
            # Rounded up to a whole number.
            assert guess.used[name] == pytest.approx(found.used[name], rel=tolerance, abs=1), (
                found.config
            )


def test_every_variant_of_the_board_is_recorded_with_its_preset():
    found = variants("ulx3s")
    assert list(found) == ["12F", "25F", "45F", "85F"]
    for name, available in found.items():
        known = area(PRESETS[f"ulx3s-{name.lower()}"])
        assert known.placed
        assert known.fits(available)


def test_what_exceeds_one_resource_does_not_fit():
    known = area(BASE)
    for name in RESOURCES:
        assert known.fits(known.used)
        assert not known.fits({**known.used, name: known.used[name] - 1})
