"""The configurations that hold a model, and which of their costs are worth having."""

from dataclasses import replace

import numpy as np
import pytest

import sim
from egru_hw.contract.config import PRESETS, preset
from egru_hw.contract.image import build_image, fits
from egru_hw.contract.protocol import Counter
from egru_hw.cost import energy
from egru_hw.cost.area import area, variants
from egru_hw.cost.cycles import cost
from egru_hw.cost.search import Candidate, candidates, evaluate, pareto, smallest
from golden.model_file import load
from sim.random_models import random_case, random_inputs, random_model

PARTS = variants("ulx3s")


def random_models(count: int):
    seed = int(np.random.default_rng().integers(1 << 32))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    return [random_case(rng, preset("ulx3s-12f"), 1) for _ in range(count)]


def test_every_candidate_holds_the_model_and_fits_a_variant():
    for model, _ in random_models(5):
        counts = []
        for parts in ({"12F": PARTS["12F"]}, PARTS):
            found = candidates(model, parts)
            counts.append(len(found))
            assert len({candidate.config for candidate in found}) == len(found)
            for candidate in found:
                build_image(model, candidate.config)
                assert any(area(candidate.config).fits(part) for part in parts.values())
        assert counts[0] < counts[1]


def test_the_candidates_have_all_presets_that_hold_the_model():
    names = {"mnist1d": {"ulx3s-12f", "ulx3s-45f", "ulx3s-85f"}, "digits": {"ulx3s-85f"}}
    for model, expected in names.items():
        integer = load(model).twin()
        found = {c.preset: c.config for c in candidates(integer, PARTS) if c.preset}
        assert found.keys() >= expected
        assert all(PRESETS[name] == config for name, config in found.items())
        assert {c for c in PRESETS.values() if fits(integer, c)} == set(found.values())


def test_the_smallest_configuration_has_nothing_to_spare():
    for model, _ in random_models(5):
        for lanes, units in ((12, 1), (24, 4), (96, 2)):
            config = smallest(model, lanes, units, 2)
            assert (config.lanes, config.units_per_cycle, config.readout_lanes) == (lanes, units, 2)
            assert fits(model, config)
            steps = {"max_units": config.columns} | dict.fromkeys(
                ("max_inputs", "max_outputs", "max_layers", "weight_rows", "weight_bits"), 1
            )
            for name, step in steps.items():
                try:
                    less = replace(config, **{name: getattr(config, name) - step})
                except ValueError:  # it is 1 already, or the fewest bits
                    continue
                assert not fits(model, less), name


def test_a_configuration_of_the_grid_costs_what_the_hardware_counts():
    rng = np.random.default_rng(4)
    model = random_model(rng, 5, (9, 6), outputs=3)
    config, inputs = smallest(model, 12, 2, 1), random_inputs(rng, 2, 6, 5)
    simulation = sim.run(model, inputs, config=config, backend="amaranth")
    counted = cost(model, simulation.golden, config).counters
    assert counted == {c: simulation.hardware.counters[c] for c in counted}


def test_a_point_has_the_exact_cycles_and_the_smallest_variant():
    (model, inputs), *_ = random_models(1)
    candidate, result = Candidate(preset("ulx3s-45f"), "ulx3s-45f"), model.run(inputs)
    point = evaluate(candidate, model, result, 80, PARTS)
    counted = cost(model, result, candidate.config)
    assert point.cost.counters == counted.counters
    assert point.cycles_per_step == counted.counters[Counter.CYCLES] / counted.latency.size
    assert point.variants == ("45F", "85F")
    _, watts, _ = energy.table()["static"]["45F"]
    assert point.energy.static.typical == pytest.approx(watts * point.cycles_per_step / 80 * 1e3)
    slow = evaluate(candidate, model, result, 40, PARTS)
    assert slow.energy.dynamic == point.energy.dynamic
    assert slow.energy.static.typical == pytest.approx(2 * point.energy.static.typical)
    with pytest.raises(ValueError, match=r"ulx3s-45f fits no variant of the board \(12F\)"):
        evaluate(candidate, model, result, 80, {"12F": PARTS["12F"]})


def test_the_pareto_front_is_what_no_other_point_beats():
    rng = np.random.default_rng(5)
    for _ in range(50):
        points = rng.integers(0, 4, (12, 3))
        for point, best in zip(points, pareto(points.tolist()), strict=True):
            beaten = ((points <= point).all(1) & (points < point).any(1)).any()
            assert best == (not beaten)
