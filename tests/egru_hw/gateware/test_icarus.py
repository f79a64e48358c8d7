"""The emitted Verilog in a second simulator, which knows unknown values: Icarus Verilog."""

import shutil
from contextlib import closing

import pytest

from egru_hw.contract.config import Config, preset
from sim.backends.cocotb_runner import CocotbTransport
from sim.comparison import compare
from sim.random_models import random_inputs, random_model
from sim.stimulus import Stimulus
from tests.helpers.simulation import run
from tests.helpers.streams import generator

pytestmark = pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus is not installed")

WIDE = Config(
    lanes=24,
    units_per_cycle=4,
    max_units=48,
    max_inputs=20,
    max_outputs=11,
    max_layers=4,
    weight_rows=500,
    readout_lanes=4,
)


@pytest.mark.parametrize(
    ("config", "layers", "stall"),
    [(preset("tiny"), (9,), 0.2), (WIDE, (11, 5, 7), 0.2), (WIDE, (12, 3), 0.0)],
    ids=["one layer", "three layers", "no stalls"],
)
def test_verilog_equals_the_integer_model_with_unknown_values_propagated(
    config, layers, stall, tmp_path
):
    rng = generator(len(layers))
    model = random_model(rng, 3, layers, outputs=4, density=0.6)
    inputs = random_inputs(rng, 3, 8, 3)
    transport = CocotbTransport(config, Stimulus(stall=stall, seed=1), tmp_path, simulator="icarus")
    with closing(transport):
        hardware = run(transport, config, model, inputs)
    assert compare(model.run(inputs), hardware).mismatches == 0
    assert any(events.any() for events in hardware.events)
