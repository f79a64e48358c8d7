"""``egru predict``: a user's sequences through the float network, integers and RTL."""

import json
import re

import numpy as np
import pytest

import sim.simulation
from egru_hw.contract.config import preset
from golden import load_model, save_model
from golden.network.network import Network
from golden.quantization.quantize import quantize
from golden.tasks import TASKS
from tests.helpers.command import invoke
from tests.helpers.streams import generator


@pytest.fixture
def samples(tmp_path):
    """Three test sequences of mnist1d, and their classes."""
    inputs, classes = TASKS["mnist1d"].test()
    np.save(tmp_path / "x.npy", inputs[:3])
    return tmp_path / "x.npy", classes[:3].tolist()


@pytest.mark.parametrize("on", ["float", "integer"])
def test_the_shipped_model_recognises_its_task(samples, on):
    path, classes = samples
    result = invoke("predict", "mnist1d", path, "--on", on, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["classes"] == classes
    assert np.shape(found["probabilities"]) == (3, 10)
    assert np.allclose(np.sum(found["probabilities"], 1), 1)


def test_the_table_shows_class_and_probability_of_each_sequence(samples):
    path, classes = samples
    result = invoke("predict", "mnist1d", path)
    found = json.loads(invoke("predict", "mnist1d", path, "--json").stdout)
    rows = re.findall(r"│ +(\d+) │ +(\d+) │ +([\d.]+%) │", result.stdout)
    assert [int(row[0]) for row in rows] == [0, 1, 2]
    assert [int(row[1]) for row in rows] == classes
    for row, probabilities in zip(rows, found["probabilities"], strict=True):
        assert row[2] == f"{max(probabilities):.1%}"


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A small model with sequences for it, and a simulation of the smallest accelerator."""
    import torch

    torch.manual_seed(3)
    rng = generator(4)
    x = rng.normal(size=(2, 6, 2)).astype(np.float32)
    network = Network(2, 5, 3)
    save_model(tmp_path / "tiny.safetensors", network, quantize(network, x), {})
    np.save(tmp_path / "x.npy", x)
    small = {"config": preset("tiny"), "backend": "amaranth"}
    run = sim.simulation.run
    monkeypatch.setattr(sim.simulation, "run", lambda *a, **options: run(*a, **options, **small))
    return tmp_path / "tiny.safetensors", tmp_path / "x.npy"


def test_the_accelerator_gives_the_prediction_of_the_integer_model(tiny):
    found = {}
    for on in ("integer", "rtl"):
        result = invoke("predict", *tiny, "--on", on, "--json")
        assert result.exit_code == 0, result.stderr
        found[on] = json.loads(result.stdout)
    assert found["rtl"]["probabilities"] == found["integer"]["probabilities"]
    assert found["rtl"]["classes"] == found["integer"]["classes"]


@pytest.mark.parametrize("objective", ["classes", "values"])
def test_padding_is_left_out_of_predictions_of_steps(tmp_path, tiny, objective):
    path, x = tmp_path / "steps.safetensors", np.load(tiny[1])
    network = Network(2, 5, 3, readout="steps")
    save_model(path, network, quantize(network, x), {"targets": objective})
    x[1, 2:] = np.nan
    np.savez(tmp_path / "x.npz", inputs=x, lengths=[6, 2])
    for on in ("float", "integer", "rtl"):
        result = invoke("predict", path, tmp_path / "x.npz", "--on", on, "--json")
        assert result.exit_code == 0, result.stderr
        found = json.loads(result.stdout)
        names = {"classes": ["classes", "probabilities"], "values": ["values"]}[objective]
        np.save(tmp_path / "y.npy", x[1:, :2])
        alone = json.loads(invoke("predict", path, tmp_path / "y.npy", "--json", "--on", on).stdout)
        for name in names:
            assert [len(sequence) for sequence in found[name]] == [6, 2]
            assert np.allclose(found[name][1], alone[name][0], rtol=0, atol=on == "float" and 1e-6)
        rows = invoke("predict", path, tmp_path / "x.npz", "--on", on).stdout
        assert len(re.findall(r"^│", rows, re.MULTILINE)) == 6 + 2


def test_a_prediction_of_the_model_file_marks_padding(tmp_path, tiny):
    network, x = Network(2, 5, 3, readout="steps"), np.load(tiny[1])
    save_model(tmp_path / "steps.safetensors", network, quantize(network, x), {})
    x[1, 2:] = np.inf
    for kind in ("integer", "float"):
        found = load_model(tmp_path / "steps.safetensors").predict(x, kind, lengths=[6, 2])
        assert found.classes[1, 2:].tolist() == [-1] * 4
        assert (found.classes[0] >= 0).all()
        assert np.isnan(found.outputs[1, 2:]).all()
        assert np.isnan(found.probabilities[1, 2:]).all()
        assert np.allclose(found.probabilities[1, :2].sum(-1), 1)


@pytest.mark.parametrize("on", ["float", "integer", "rtl"])
def test_a_prediction_of_a_padded_sequence_is_that_of_the_sequence_alone(tmp_path, tiny, on):
    path, x = tmp_path / "firing.safetensors", np.load(tiny[1])
    network = Network(2, 5, 3, threshold_mean=0.02)
    save_model(path, network, quantize(network, x), {})
    np.save(tmp_path / "alone.npy", x[1:, :2])
    x[1, 2:] = np.nan
    np.savez(tmp_path / "x.npz", inputs=x, lengths=[6, 2])
    found, alone = (
        json.loads(invoke("predict", path, tmp_path / name, "--on", on, "--json").stdout)
        for name in ("x.npz", "alone.npy")
    )
    assert np.allclose(found["probabilities"][1], alone["probabilities"][0], rtol=1e-6, atol=0)


def test_an_accelerator_that_differs_fails_the_command(tiny, monkeypatch):
    from tests.helpers.simulation import spoil

    run = sim.simulation.run
    monkeypatch.setattr(
        sim.simulation, "run", lambda *a, **options: spoil(run(*a, **options), "read-out")
    )
    # spoil() changes the third output of the first sequence.
    result = invoke("predict", *tiny, "--on", "rtl")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "mismatch: first read-out at sequence 0, output 2: golden" in result.stderr


def test_a_file_that_does_not_fit_the_model_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 5, 2)))
    result = invoke("predict", "mnist1d", tmp_path / "x.npy")
    assert result.exit_code == 2
    assert "has the shape (3, 5, 2): the model expects (N, T, 1)" in result.stderr


def test_a_missing_file_is_refused(tmp_path):
    result = invoke("predict", "mnist1d", tmp_path / "x.npy")
    assert result.exit_code == 2
    assert result.stderr == f"error: {tmp_path / 'x.npy'}: No such file or directory\n"
