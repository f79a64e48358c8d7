"""The computed costs equal what the hardware counts, to the cycle."""

import numpy as np
import pytest

import sim
from egru_hw.contract.config import preset
from egru_hw.cost import cycles, readout_path
from egru_hw.cost.cycles import cost
from egru_hw.gateware.lane_slice import LaneSlice
from egru_hw.gateware.unit_group import UnitGroup
from sim.random_models import random_case, random_inputs, random_model
from tests.egru_hw.gateware.test_accelerator import BUILD, CORNERS, TINY, WIDE


def compare(model, inputs, config):
    simulation = sim.run(model, inputs, config=config, build=BUILD)
    found = cost(model, simulation.golden, config)
    measured = {c: simulation.hardware.counters[c] for c in found.counters}
    assert found.counters == measured, (model.hidden_sizes, model.outputs, inputs.shape)


@pytest.mark.parametrize("name", CORNERS)
def test_corners_cost_what_the_hardware_counts(name):
    rng = np.random.default_rng(1)
    model = random_model(rng, **CORNERS[name])
    compare(model, random_inputs(rng, 2, 6, model.input_size), TINY)


@pytest.mark.parametrize("config", [TINY, WIDE, preset("ulx3s-85f")])
def test_random_models_cost_what_the_hardware_counts(config):
    seed = int(np.random.default_rng().integers(1 << 32))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        compare(*random_case(rng, config, 2), config)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (LaneSlice, "LATENCY"),
        (UnitGroup, "LATENCY"),
        (cycles, "WALK_TO_LANES"),
        (readout_path, "FIRST_OUTPUT"),
    ],
)
def test_every_latency_counts(owner, name, monkeypatch):
    rng = np.random.default_rng(2)
    model = random_model(rng, 3, (5, 4), outputs=3, drive="firing")
    result = model.run(random_inputs(rng, 1, 5, 3))
    before = cost(model, result, TINY).cycles
    monkeypatch.setattr(owner, name, getattr(owner, name) + 1)
    assert (cost(model, result, TINY).cycles > before).all()
