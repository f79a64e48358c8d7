"""The estimate of the energy: counts times the table."""

import numpy as np
import pytest

from egru_hw.contract.config import preset
from egru_hw.cost import energy
from egru_hw.cost.area import area, variants
from egru_hw.cost.cycles import cost
from sim.random_models import random_case
from tests.egru_hw.gateware.test_accelerator import TINY


def test_every_figure_is_a_range_with_its_basis_and_source():
    table = energy.table()
    ranges = [entry["range"] for name, entry in table.items() if name != "static"]
    ranges += [table["static"][name] for name in variants("ulx3s")]
    assert all(0 < low < typical < high for low, typical, high in ranges)
    for entry in table.values():
        assert entry["source"].strip()
        assert entry["basis"] in ("scaled from literature", "order of magnitude", "unverified")


def test_counts_are_those_of_a_slow_count():
    seed = int(np.random.default_rng().integers(1 << 32))
    print("seed", seed)
    model, inputs = random_case(np.random.default_rng(seed), TINY, 2)
    result, known = model.run(inputs), area(TINY)
    steps = inputs.shape[0] * inputs.shape[1]
    expected = dict.fromkeys(("mac", "block_ram", "event", "unit_update"), 0)
    for sequence, steps_of_it in enumerate(inputs):
        before = [np.zeros(h, int) for h in model.hidden_sizes]
        for t, values in enumerate(steps_of_it):
            below = values
            expected["event"] += np.count_nonzero(values)
            for layer, events in enumerate(result.events):
                units = model.hidden_sizes[layer]
                sources = np.count_nonzero(below) + np.count_nonzero(before[layer])
                expected["mac"] += 3 * units * sources
                expected["block_ram"] += sources * TINY.pitch(units) * -(-TINY.row_bits // 9)
                expected["event"] += np.count_nonzero(events[sequence, t])
                expected["unit_update"] += units
                below = before[layer] = events[sequence, t]
            expected["mac"] += np.count_nonzero(below) * model.outputs
    found = cost(model, result, TINY)
    counted = energy.counted(model, result, found, TINY, known)
    expected["clock"] = found.cycles.sum() * known.used["flip-flops"]
    assert counted == pytest.approx({name: count / steps for name, count in expected.items()})


def test_energy_is_linear_in_the_counts_and_static_energy_in_the_time():
    counts = {"mac": 1000.0, "block_ram": 100.0, "event": 10.0, "unit_update": 5.0, "clock": 1e5}
    once = energy.energy(counts, 100, 80, "85F")
    twice = energy.energy({name: 2 * n for name, n in counts.items()}, 100, 40, "85F")
    for part in ("dynamic", "static", "total"):
        assert getattr(twice, part) == pytest.approx(np.multiply(2, getattr(once, part)))
    (_, watts, _) = energy.table()["static"]["85F"]
    assert once.static.typical == pytest.approx(watts * 100 / 80e6 * 1e9)
    only = energy.energy({"mac": 1000.0}, 0, 80, "12F")
    assert only.total == pytest.approx(energy.table()["mac"]["range"])  # pJ a thousand times


def test_a_step_of_a_preset_is_dearer_on_a_larger_part():
    config = preset("ulx3s-12f")
    low, high = (energy.energy({"mac": 1.0}, 10 * config.lanes, 80, v) for v in ("12F", "85F"))
    assert low.dynamic == high.dynamic
    assert low.static.typical < high.static.typical
