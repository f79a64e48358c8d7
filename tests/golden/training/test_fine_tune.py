"""Quantisation-aware training of a trained model."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from golden import load_model, save_model
from golden.quantization.quantize import QuantizeConfig, quantize
from golden.tasks import TASKS
from golden.training import train
from tests.helpers.toy import Toy, at_batch, run, toy_run

pytestmark = pytest.mark.usefixtures("toy")


def test_fine_tuning_writes_a_model_of_fewer_bits_and_repeats_itself(tmp_path):
    out, fewer = tmp_path / "toy.safetensors", tmp_path / "toy-3bit.safetensors"
    assert toy_run(out, "--learning-rate", 0.02)[0] == 0
    files = []
    for _ in range(2):
        words = ("--weight-bits", 3, "--epochs", 4, "--learning-rate", 0.01)
        assert run("tune", out, *words, "--overwrite")[0] == 0
        files.append(fewer.read_bytes())
    assert files[0] == files[1]

    before, model = load_model(out), load_model(fewer)
    assert (before.integer.weight_bits, model.integer.weight_bits) == (8, 3)
    assert all(np.abs(layer.weight_recurrent).max() <= 3 for layer in model.integer.layers)
    command = "egru tune toy.safetensors --weight-bits 3 --epochs 4 --learning-rate 0.01"
    assert model.config["training"]["command"] == command
    assert model.config["before"]["results"] == before.config["results"]
    x, labels = Toy().test()
    outputs = model.integer.run(model.integer.quantize_inputs(x)).outputs
    assert model.config["results"]["accuracy"][1] == (outputs.argmax(1) == labels).mean()
    # Quantising alone would give another model: this one has been trained.
    after = quantize(before.network(), Toy().everything().inputs, QuantizeConfig(weight_bits=3))
    assert not np.array_equal(after.readout.weight, model.integer.readout.weight)


def test_fine_tuning_keeps_the_recipe_but_for_its_own_options_and_the_regularisation(tmp_path):
    out, fewer = tmp_path / "toy.safetensors", tmp_path / "toy-4bit.safetensors"
    assert toy_run(out, "--patience", 5, "--batch-size", 7, "--epochs", 2)[0] == 0
    assert run("tune", out, "--epochs", 1, "--seed", 3)[0] == 0
    before, after = (load_model(path).config["training"] for path in (out, fewer))
    assert after.pop("command") == "egru tune toy.safetensors --epochs 1 --seed 3"
    changed = {"epochs": 1, "learning_rate": 3e-3, "seed": 3, "patience": None,
               "weight_decay": 0.0, "target_from": 0.0, "target_until": 0.0}  # fmt: skip
    before.pop("command")
    assert after == before | changed
    assert after["batch_size"] == 7


def test_fine_tuning_resumes_only_from_the_same_model_and_width(tmp_path, monkeypatch):
    models = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for path, seed in zip(models, (0, 1), strict=True):
        assert toy_run(path, "--epochs", 2, "--seed", seed)[0] == 0
    loaded = load_model(models[0])
    other = load_model(models[1]).network()
    # The header of the first with the weights of the second.
    save_model(models[1], other, None, loaded.config)

    def fine_tune(model, *words):
        return run("tune", model, "--epochs", 3, "--out", tmp_path / "tuned", *words)

    acting = at_batch(1, lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setitem(TASKS, "toy", acting)
    assert fine_tune(models[0])[0] == 130
    for words in ((models[1],), (models[0], "--weight-bits", 5)):
        code, output = fine_tune(*words, "--resume")
        assert code == 2, output
        assert "was written by a training with other options, another model" in output
    assert fine_tune(models[0], "--resume")[0] == 0


def test_fine_tuning_replaces_its_own_model_only_on_request(tmp_path):
    out = tmp_path / "toy.safetensors"
    assert toy_run(out, "--epochs", 1)[0] == 0
    before = out.read_bytes()
    code, output = run("tune", out, "--epochs", 1, "--out", out)
    assert code == 2
    assert f"{out} exists: replace it with --overwrite, or give another --out" in output
    assert out.read_bytes() == before
    assert run("tune", out, "--epochs", 1, "--out", out, "--overwrite")[0] == 0
    assert load_model(out).integer.weight_bits == 4


def test_fine_tuning_by_several_processes_reports_once(tmp_path):
    model = tmp_path / "model.safetensors"
    words = ["train", "delay-copy", "--hidden-size", "6", "--epochs", "1", "--limit", "11"]
    assert run(*words, "--out", model)[0] == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", "-m", "egru_cli", "tune", model,
               "--epochs", "1"]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, timeout=300, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("test set:") == 1
    assert done.stderr.count("wrote ") == 1
    assert load_model(tmp_path / "model-4bit.safetensors").integer.weight_bits == 4


def test_a_tuned_network_that_cannot_be_quantised_is_kept(tmp_path, monkeypatch):
    out = tmp_path / "toy.safetensors"
    assert toy_run(out, "--epochs", 1)[0] == 0

    def refuse(self):
        raise ValueError("an accumulator could overflow")

    def train_too_far(*arguments):
        trained = train(*arguments)
        monkeypatch.setattr(
            "golden.quantization.quantized_network.QuantizedNetwork.integer", refuse
        )
        return trained

    monkeypatch.setattr("golden.training.tuning.train", train_too_far)
    code, output = run("tune", out, "--epochs", 1)
    assert code == 2
    assert "holds the float network only: an accumulator could overflow" in output
    fewer = load_model(tmp_path / "toy-4bit.safetensors")
    assert fewer.integer is None
    assert len(fewer.config["results"]["loss"]) == 1


def test_fine_tuning_needs_a_model_with_integers(tmp_path):
    out = tmp_path / "toy.safetensors"
    assert toy_run(out, "--cell", "gru", "--epochs", 1)[0] == 0
    code, output = run("tune", out)
    assert code == 2
    assert "has no integer model to train: use a model of an EGRU" in output
    assert not (tmp_path / "toy-4bit.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda recipe: recipe.update(hidden=4), "its recipe has the unknown option 'hidden'"),
        (lambda recipe: recipe.update(batch_size=0), "batch_size must be a whole number of at"),
        (
            lambda recipe: recipe.update(cell="rnn"),
            "cell must be one of egru, gru, lstm, not 'rnn'",
        ),
    ],
)
def test_a_recorded_recipe_that_is_not_one_rejected(tmp_path, change, sentence):
    out = tmp_path / "toy.safetensors"
    assert toy_run(out, "--epochs", 1)[0] == 0
    model = load_model(out)
    change(model.config["training"])
    save_model(out, model.network(), model.integer, model.config)
    code, output = run("tune", out)
    assert code == 2
    assert sentence in output


def test_a_model_without_a_recipe_rejected(tmp_path):
    out = tmp_path / "toy.safetensors"
    assert toy_run(out, "--epochs", 1)[0] == 0
    model = load_model(out)
    save_model(out, model.network(), model.integer, {"task": "toy"})
    code, output = run("tune", out)
    assert code == 2
    assert f"{out} does not record the recipe it was trained with" in output
