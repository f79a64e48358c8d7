"""From a user's own task, in one file outside the package, to its model on the hardware."""

import json

import numpy as np
import pytest

import sim
from egru_hw.contract.config import preset
from golden import load_model
from golden.tasks import of_model
from tests.golden.tasks.test_own_tasks import OWN
from tests.helpers.toy import run

pytestmark = pytest.mark.usefixtures("toy")


def test_an_own_task_is_trained_evaluated_tuned_and_simulated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_task.py").write_text(OWN)
    words = ("my_task.py:Parity", "-o", "code=signs", "--option", "steps=3", "--epochs", 3)
    assert run("train", *words) == (0, "")

    path = tmp_path / "runs" / "Parity.safetensors"
    model = load_model(path)
    training = model.config["training"]
    assert model.config["task"] == "my_task.py:Parity"
    assert training["command"] == (
        "egru train my_task.py:Parity --option steps=3 --option code=signs --epochs 3"
    )
    assert (training["hidden_size"], training["batch_size"]) == (6, 8)  # from its recipe

    code, output = run("eval", path, "--json")
    assert code == 0
    assert {name: json.loads(output)[name] for name in model.config["results"]} == (
        model.config["results"]
    )

    # Elsewhere, with the task's file beside the model.
    (tmp_path / "my_task.py").rename(path.with_name("my_task.py"))
    monkeypatch.chdir("/")
    assert run("tune", path, "--epochs", 1) == (0, "")
    tuned = load_model(path.with_name("Parity-4bit.safetensors"))
    assert tuned.config["training"]["batch_size"] == 8
    inputs, _ = of_model(tuned.path, tuned.config).test()
    assert inputs.shape == (10, 3, 1)
    simulation = sim.run(tuned.twin(), inputs, config=preset("tiny"), backend="amaranth")
    assert np.array_equal(simulation.hardware.outputs, simulation.golden.outputs)

    path.with_name("my_task.py").unlink()
    for command in ("eval", "tune"):
        code, output = run(command, path)
        assert code == 2
        assert "is defined in my_task.py, which is neither in the current folder nor" in output


def test_an_own_task_that_returns_other_sequences_rejected_before_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_task.py").write_text(OWN.replace("bits.astype(np.float32)", "bits"))
    code, output = run("train", "my_task.py:Parity")
    assert code == 2
    assert "my_task.py:Parity: everything().inputs must be float32 of shape (N, T, 1)" in output
    assert not (tmp_path / "runs").exists()


def test_an_own_task_whose_augmentation_changes_the_type_rejected(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    augment = "    def augment(self, inputs, rng):\n        return inputs.astype(float)\n\n"
    (tmp_path / "my_task.py").write_text(OWN.replace("    def test", f"{augment}    def test"))
    code, output = run("train", "my_task.py:Parity", "-o", "steps=3")
    assert code == 2
    assert "augment() must return float32 of shape (8, 3, 1), not float64 of" in output
