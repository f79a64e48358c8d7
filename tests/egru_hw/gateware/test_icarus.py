"""The emitted Verilog in a second simulator, which knows unknown values: Icarus Verilog."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from egru_hw.contract.config import Config, preset
from egru_hw.gateware.verilog import TOP, emit
from egru_hw.host import driver
from sim.comparison import compare
from sim.stimulus import PATIENCE
from tests.helpers.models import random_inputs, random_model
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


class IcarusTransport:
    """As sim.backends.verilator's, but under Icarus and without a cache of models."""

    def __init__(self, config: Config, stall: float, folder: Path):
        self.config, self.stall, self.folder = config, stall, folder

    def exchange(self, packets, replies):
        source = self.folder / "egru.v"
        source.write_text(emit(self.config))
        np.save(self.folder / "packets.npy", packets)
        settings = {"replies": replies, "stall": self.stall, "seed": 1, "patience": PATIENCE}
        (self.folder / "settings.json").write_text(json.dumps(settings))
        runner = get_runner("icarus")
        runner.build(
            sources=[source],
            hdl_toplevel=TOP,
            build_dir=self.folder,
            timescale=("1ns", "1ps"),
            log_file=self.folder / "build.log",
        )
        verdict = runner.test(
            test_module="sim.backends.cocotb_bench",
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=self.folder,
            test_dir=self.folder,
            results_xml=str(self.folder / "results.xml"),
            log_file=self.folder / "simulation.log",
        )
        assert get_results(verdict) == (1, 0)
        return np.load(self.folder / "replies.npy")


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
    hardware = driver.run(IcarusTransport(config, stall, tmp_path), config, model, inputs)
    assert compare(model.run(inputs), hardware).mismatches == 0
    assert any(events.any() for events in hardware.events)
