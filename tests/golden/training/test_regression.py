"""Tasks with real-valued targets, from the training to the hardware: nothing takes a maximum."""

import json

import numpy as np
import pytest

import egru_cli.sim
import sim
from egru_hw.contract.config import preset
from golden import load_model
from golden.tasks import find
from tests.helpers.toy import course, run

TASK = '''
from dataclasses import dataclass

import numpy as np

from golden.tasks import Recipe, Split, Task


class Mean(Task):
    """The mean of each of two features, and their difference."""

    input_size, values = 2, 3
    recipe = Recipe(hidden_size=8, epochs=20, batch_size=20, learning_rate=2e-2, activity_price=0.0)

    def everything(self):
        return self._make(0, 200)

    def test(self):
        return self._make(1, 40)

    def _make(self, seed, count):
        rng = np.random.default_rng(seed)
        means = rng.normal(size=(count, 1, 2))
        inputs = means + 0.1 * rng.normal(size=(count, 6, 2))
        targets = np.concatenate([means, means[..., :1] - means[..., 1:]], 2)
        return Split(inputs.astype(np.float32), self._shaped(targets).astype(np.float32))

    def _shaped(self, targets):
        return targets[:, 0]


class Last(Mean):
    readout = "last"


class Steps(Mean):
    """The same at every step but the first, which is not scored."""

    readout = "steps"

    def _shaped(self, targets):
        targets = np.repeat(targets, 6, 1)
        targets[:, 0] = np.nan
        return targets
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_task.py").write_text(TASK)
    small = {"config": preset("tiny"), "backend": "amaranth"}
    monkeypatch.setattr(egru_cli.sim, "run", lambda *a, **o: sim.run(*a, **(o | small)))
    return tmp_path


def r2(outputs, targets) -> float:
    """From its definition."""
    rest = np.nansum(np.square(outputs - targets))
    mean = np.nanmean(targets.reshape(-1, targets.shape[-1]), 0, dtype=float)
    return 1 - rest / np.nansum(np.square(targets - mean))


@pytest.mark.parametrize("name", ["Mean", "Last", "Steps"])
def test_values_are_learnt_quantised_tuned_simulated_and_predicted(folder, name):
    task, path = f"my_task.py:{name}", folder / "runs" / f"{name}.safetensors"
    assert run("train", task, "--patience", 20) == (0, "")
    model = load_model(path)
    inputs, targets = find(task).test()
    results = model.config["results"]
    for index, kind in enumerate(("float", "integer")):
        outputs = model.predict(inputs, kind).outputs
        assert outputs.shape == targets.shape
        assert results["loss"][index] == pytest.approx(np.nanmean(np.square(outputs - targets)))
        assert results["r2"][index] == pytest.approx(r2(outputs, targets))
        assert results["r2"][index] > 0.8
    assert results["test_targets"] == np.isfinite(targets).sum()
    assert "accuracy" not in results
    epochs = course(path)
    assert {"r2", "validation_r2"} < epochs[0].keys()
    assert float(epochs[-1]["r2"]) > 0.8

    code, output = run("eval", path)
    assert code == 0
    assert "R²: 0." in output
    assert "mean squared error; its root is" in output
    assert run("tune", path, "--epochs", 1) == (0, "")
    assert load_model(path.with_name(f"{name}-4bit.safetensors")).objective.name == "values"

    code, output = run("sim", path, "--sequences", 5, "--stall", 0.2, "--out", folder / "sim")
    assert code == 0
    assert "R², RTL 0." in output
    report = json.loads((folder / "sim" / "report.json").read_text())
    assert report["mismatches"] == 0
    assert report["r2"]["RTL"] == report["r2"]["integer"] > 0.5

    np.save(folder / "x.npy", inputs[:2])
    code, output = run("predict", path, "x.npy", "--json")
    assert code == 0
    assert json.loads(output)["values"] == model.predict(inputs[:2]).outputs.tolist()
    assert "value 2" in run("predict", path, "x.npy")[1]
    with pytest.raises(ValueError, match="the model predicts real values, not classes: use"):
        _ = model.predict(inputs).classes


def test_data_of_other_targets_than_the_models_rejected(folder):
    assert run("train", "my_task.py:Mean", "--epochs", 1) == (0, "")
    path = folder / "runs" / "Mean.safetensors"
    for old, new, sentence in (
        ("input_size, values = 2, 3", "input_size, values = 2, 4", "have 4 values where the model"),
        ("input_size, values", "input_size, classes", "the targets are classes where the model"),
    ):
        (folder / "my_task.py").write_text(TASK.replace(old, new))
        code, output = run("eval", path)
        assert code == 2
        assert output.startswith("error: my_task.py:Mean: the")
        assert sentence in output
