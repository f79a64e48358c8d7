"""Simulation as a library function: inputs, bound, and backends."""

import sys
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest

import sim
from egru_hw.contract.config import preset
from golden.model_file import load
from sim import report
from sim.random_models import random_model
from sim.simulation import bound
from tests.helpers.simulation import simulate_tiny
from tests.helpers.streams import generator


def test_the_bound_counts_rows_of_events_and_groups_of_units():
    simulation = simulate_tiny()
    config, golden = simulation.config, simulation.golden
    by_hand = 0
    for layer, units in enumerate((5, 4)):
        for sequence in range(3):
            for step in range(6):
                events = golden.input_events[layer][sequence, step]
                events += golden.recurrent_events[layer][sequence, step]
                by_hand += events * -(-3 * units // config.lanes) + -(-units // 1)
    assert bound(golden, config) == by_hand == simulation.bound


def test_inputs_may_be_real_numbers():
    rng = generator(2)
    model = random_model(rng, 2, (5,))
    x = rng.normal(0, 1, (2, 4, 2))
    simulation = sim.run(model, x, config=preset("tiny"), backend="amaranth")
    expected = model.run(model.quantize_inputs(x))
    assert (simulation.hardware.events[0] == expected.events[0]).all()


def test_unknown_backend_rejected():
    with pytest.raises(
        ValueError, match="backend must be 'verilator' or 'cocotb' or 'amaranth', not 'icarus'"
    ):
        sim.run(random_model(generator(3), 1, (1,)), np.ones((1, 1, 1), int), backend="icarus")


COCOTB = ("cocotb", "cocotb_tools")


@pytest.fixture
def without_cocotb(monkeypatch):
    """As in an environment without the extra egru-hw[sim]."""

    def version_of(package: str) -> str:
        if package in ("cocotb", "verilator"):
            raise PackageNotFoundError(package)
        return version(package)

    imported = [name for name in sys.modules if name.partition(".")[0] in COCOTB]
    for name in (*COCOTB, *imported):  # a module that is imported already hides its package's
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "sim.backends.cocotb_runner", raising=False)
    monkeypatch.setattr(report, "version", version_of)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        (
            {"model": load("mnist1d")},
            TypeError,
            "model must be an IntegerEGRU, such as ModelFile.tw",
        ),
        ({"config": "huge"}, ValueError, "no preset 'huge'"),
        ({"seed": -1}, ValueError, "seed must be at least 0, not -1"),
        ({"inputs": np.zeros((0, 4, 2), int)}, ValueError, "hold no sequences"),
        ({"waves": "egru.txt", "backend": "verilator"}, ValueError, "egru.txt: waveforms are writ"),
        ({"waves": "egru.vcd", "backend": "cocotb"}, ValueError, "'cocotb' records no waveforms"),
    ],
)
def test_bad_arguments_get_one_sentence(options, error, sentence, tmp_path):
    right = {
        "model": random_model(generator(2), 2, (5,)),
        "inputs": np.zeros((1, 4, 2), int),
        "config": "tiny",
        "backend": "amaranth",
        "build": str(tmp_path),
    }
    with pytest.raises(error, match=sentence):
        sim.run(**right | options)
    assert not list(tmp_path.iterdir())


def test_amaranths_simulator_needs_no_cocotb(without_cocotb):
    summary = report.summary(simulate_tiny())
    assert summary["mismatches"] == 0
    assert set(summary["versions"]) == {"python", "amaranth", "numpy"}


def test_the_reference_bench_without_cocotb_is_one_sentence(without_cocotb):
    sentence = r"^the backend 'cocotb' needs cocotb: install the extra egru-hw\[sim\]$"
    with pytest.raises(ModuleNotFoundError, match=sentence):
        simulate_tiny(backend="cocotb")
