"""From a user's file of sequences to the simulated hardware, without any code."""

import json

import numpy as np
import pytest

import egru_cli.sim
import sim.simulation
from egru_hw.contract.config import preset
from golden import load_model
from golden.tasks import configure
from sim.simulation import run as simulate
from tests.golden.tasks.test_own_data import sequences, table
from tests.helpers.command import invoke
from tests.helpers.streams import generator
from tests.helpers.toy import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = {"config": preset("tiny"), "backend": "amaranth"}
    monkeypatch.setattr(egru_cli.sim, "run", lambda *a, **o: simulate(*a, **(o | small)))
    return tmp_path


def test_a_table_is_trained_evaluated_tuned_simulated_and_predicted(folder):
    inputs, classes = sequences(200)
    (folder / "my.csv").write_text(table(inputs, classes))
    words = ("--hidden-size", 6, "--epochs", 15, "--learning-rate", 0.02)
    assert run("train", "--data", "my.csv", *words) == (0, "")
    path = folder / "runs" / "own-data.safetensors"
    model = load_model(path)
    assert model.config["training"]["command"].startswith("egru train own-data --data my.csv")
    assert model.scaling.mean == pytest.approx([7, -100], abs=3)
    assert model.config["results"]["accuracy"][1] > 0.9

    code, output = run("eval", path, "--data", "my.csv", "--json")
    assert code == 0
    assert json.loads(output)["loss"] == model.config["results"]["loss"]
    assert run("tune", path, "--data", "my.csv", "--epochs", 1) == (0, "")
    assert load_model(folder / "runs" / "own-data-4bit.safetensors").scaling == model.scaling
    code, output = run("sim", path, "--data", "my.csv", "--sequences", 9, "--out", folder / "sim")
    assert code == 0
    report = json.loads((folder / "sim" / "report.json").read_text())
    assert report["mismatches"] == 0
    assert report["accuracy"]["RTL"] > 0.8

    # The user's sequences are as in the file, without the scaling.
    np.save(folder / "x.npy", inputs[:50])
    for on in ("float", "integer"):
        code, output = run("predict", path, "x.npy", "--on", on, "--json")
        assert code == 0
        assert (np.array(json.loads(output)["classes"]) == classes[:50]).mean() > 0.9


@pytest.mark.parametrize("suffix", ["npz", "csv"])
def test_sequences_of_different_lengths_go_all_the_way_to_the_hardware(folder, suffix):
    inputs, classes = sequences(150, 7)
    lengths = generator(7).integers(1, 8, 150)
    padding = np.arange(7) >= lengths[:, None]
    inputs[padding] = np.nan
    data = folder / f"my.{suffix}"
    if suffix == "npz":
        np.savez(data, inputs=inputs, targets=classes, lengths=lengths)
    else:
        data.write_text(table(inputs, classes, lengths=lengths))
    words = ("--hidden-size", 6, "--epochs", 15, "--learning-rate", 0.02)
    assert run("train", "--data", data, *words) == (0, "")
    path = folder / "runs" / "own-data.safetensors"
    model = load_model(path)
    assert model.config["results"]["accuracy"][1] > 0.9
    assert run("tune", path, "--data", data, "--epochs", 1) == (0, "")
    tuned = folder / "runs" / "own-data-4bit.safetensors"

    test = configure("own-data", data).test()
    code, output = run("eval", tuned, "--data", data, "--json")
    assert code == 0
    scaled = load_model(tuned)
    alone = [
        scaled.twin().run(scaled.twin().quantize_inputs(test.inputs[n : n + 1, :length]))
        for n, length in enumerate(test.lengths)
    ]
    fired = sum(np.count_nonzero(result.events[0]) for result in alone)
    found = json.loads(output)["activity"][0][1]
    assert found == pytest.approx(fired / (6 * test.lengths.sum()), rel=1e-12)

    words = (tuned, "--data", data, "--sequences", len(test.inputs))
    code, output = run("sim", *words, "--out", folder / "sim")
    assert code == 0, output
    report = json.loads((folder / "sim" / "report.json").read_text())
    assert report["mismatches"] == 0
    assert report["compared"] == 6 * test.lengths.sum() + len(test.inputs) * (6 + 2)
    assert report["counters"]["steps"] == test.lengths.sum()
    assert report["accuracy"]["RTL"] > 0.8
    assert run("cost", *words, "--preset", "tiny", "--json", folder / "cost.json")[0] == 0
    costs = json.loads((folder / "cost.json").read_text())
    for name in ("cycles", "steps", "macs", "rows"):
        assert costs["counters"][name] == report["counters"][name]

    for on in ("float", "integer"):
        code, output = run("predict", path, data, "--on", on, "--json")
        assert code == 0
        assert (np.array(json.loads(output)["classes"]) == classes).mean() > 0.9


def test_the_scaling_of_the_model_is_kept_on_other_data(folder):
    inputs, classes = sequences(60)
    np.savez("my.npz", inputs=inputs, targets=classes)
    assert run("train", "--data", "my.npz", "--hidden-size", 6, "--epochs", 1) == (0, "")
    path = folder / "runs" / "own-data.safetensors"
    model = load_model(path)
    split = np.array(["train", "test"] * 30)
    np.savez("other.npz", inputs=inputs * 3, targets=classes, split=split)
    code, output = run("eval", path, "--data", "other.npz", "--json")
    assert code == 0
    right = model.predict(inputs[1::2] * 3).classes == classes[1::2]
    assert json.loads(output)["accuracy"][1] == right.mean()


def test_a_training_on_nothing_and_a_file_of_another_shape_rejected(folder):
    code, output = run("train")
    assert code == 2
    assert output.startswith("error: there is nothing to train on: name a TASK, or give your own")
    code, output = run("train", "--data", "my.npz")
    assert code == 2
    assert output.startswith("error: there is no file my.npz: correct --data")
    inputs, classes = sequences(60)
    np.savez("my.npz", inputs=inputs, targets=classes)
    assert run("train", "--data", "my.npz", "--hidden-size", 6, "--epochs", 1) == (0, "")
    np.savez("my.npz", inputs=inputs[..., :1], targets=classes)
    for command in ("eval", "tune", "sim"):
        code, output = run(command, "runs/own-data.safetensors", "--data", "my.npz")
        assert code == 2
        assert "my.npz: the data have 1 features or symbols a step where the model has 2" in output
    assert run("predict", "runs/own-data.safetensors", "my.npz")[0] == 2


@pytest.mark.parametrize("per_step", [False, True])
def test_values_of_any_unit_are_learnt_and_predicted_in_that_unit(folder, per_step, monkeypatch):
    small = {"config": preset("tiny"), "backend": "amaranth"}
    monkeypatch.setattr(sim.simulation, "run", lambda *a, **o: simulate(*a, **(o | small)))
    rng = generator(11)
    inputs = rng.normal(size=(240, 6, 2))
    means = inputs.cumsum(1) / np.arange(1, 7)[:, None] if per_step else inputs.mean(1)
    unit = np.array([400.0, 2e-4])
    targets = means * unit + [101_300.0, 0.0]
    np.savez("my.npz", inputs=inputs, targets=targets)
    words = ("--hidden-size", 8, "--epochs", 30, "--learning-rate", 0.03, "--batch-size", 20)
    assert run("train", "--data", "my.npz", *words, "--activity-price", 0) == (0, "")
    path = folder / "runs" / "own-data.safetensors"
    model = load_model(path)
    assert model.config["results"]["r2"][1] > 0.6
    errors = (model.predict(inputs).outputs - targets) / unit
    axes = tuple(range(targets.ndim - 1))
    shares = errors.var(axes) / (targets / unit).var(axes)
    assert shares.max() < 0.4  # of either target, although one is a million times the other
    assert abs(errors.mean(axes)).max() < 0.2

    wanted = {"float": model.predict(inputs[:5], "float"), "integer": model.predict(inputs[:5])}
    np.save("x.npy", inputs[:5])
    for on in ("float", "integer", "rtl"):
        result = invoke("predict", path, "x.npy", "--on", on, "--json")
        assert result.exit_code == 0
        expected = wanted["integer" if on == "rtl" else on].outputs
        assert np.allclose((json.loads(result.stdout)["values"] - expected) / unit, 0, atol=1e-5)

    # Evaluated on other data, targets are scaled as the model file says.
    moved = targets + unit * [1, 0]
    np.savez("moved.npz", inputs=inputs, targets=moved)
    scores = [json.loads(run("eval", path, "--data", f"{name}.npz", "--json")[1]) for name in
              ("my", "moved")]  # fmt: skip
    assert scores[0]["loss"] == model.config["results"]["loss"]
    assert scores[1]["loss"][1] > scores[0]["loss"][1] + 0.3


def test_targets_that_never_change_rejected(folder):
    rows = "".join(f"{n},0,{n},{n / 3},4.5\n" for n in range(30))
    (folder / "my.csv").write_text(f"sequence,step,x,target a,target b\n{rows}")
    code, output = run("train", "--data", "my.csv")
    assert code == 2
    assert "my.csv: target 1 is 4.5 in all training sequences: there is nothing to learn" in output


@pytest.mark.parametrize("encoder", ["send-on-delta", "threshold"])
def test_encoded_inputs_are_fewer_and_encoded_alike_everywhere(folder, encoder, monkeypatch):
    small = {"config": preset("tiny"), "backend": "amaranth"}
    monkeypatch.setattr(sim.simulation, "run", lambda *a, **o: simulate(*a, **(o | small)))
    inputs, classes = sequences(120)
    np.savez("my.npz", inputs=inputs, targets=classes)
    options = ("-o", f"encoder={encoder}", "-o", "encoder_threshold=0.8")
    words = ("--hidden-size", 6, "--epochs", 25, "--learning-rate", 0.02)
    code, output = run("train", "--data", "my.npz", *options, *words)
    assert code == 0
    path = folder / "runs" / "own-data.safetensors"
    model = load_model(path)
    prepared = model.preparation(inputs)
    assert (prepared != 0).mean() < 0.7
    assert "of the input values are not zero, 100.0% before the encoder" in output
    assert model.config["results"]["accuracy"][1] > 0.7
    assert run("tune", path, "--data", "my.npz", "--epochs", 1) == (0, "")
    tuned = load_model(folder / "runs" / "own-data-4bit.safetensors")
    assert np.array_equal(tuned.preparation(inputs), prepared)
    code, output = run("eval", path, "--data", "my.npz", "--json")
    assert json.loads(output)["loss"] == model.config["results"]["loss"]

    expected = model.twin().run(model.twin().quantize_inputs(prepared)).outputs.argmax(-1)
    assert (expected == classes).mean() > 0.7
    np.save("x.npy", inputs[:20])
    for on in ("float", "integer", "rtl"):
        found = json.loads(invoke("predict", path, "x.npy", "--on", on, "--json").stdout)
        assert (np.array(found["classes"]) == expected[:20]).mean() >= (0.8 if on == "float" else 1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("encoder=threshold",), "the options encoder and encoder_threshold of own-data belong"),
        (("encoder_threshold=0.5",), "the options encoder and encoder_threshold of own-data"),
        (("encoder=delta", "encoder_threshold=1"), "encoder of own-data must be none or send-on-"),
        (("encoder=threshold", "encoder_threshold=-1"), "give an encoder and a threshold above 0"),
    ],
)
def test_encoders_without_a_meaning_rejected(folder, options, sentence):
    inputs, classes = sequences(40)
    np.savez("my.npz", inputs=inputs, targets=classes)
    words = [word for option in options for word in ("-o", option)]
    code, output = run("train", "--data", "my.npz", *words)
    assert code == 2
    assert sentence in output


def test_an_encoder_of_symbols_rejected(folder):
    np.savez("my.npz", inputs=np.arange(120).reshape(40, 3) % 5, targets=np.arange(40) % 2)
    code, output = run(
        "train", "--data", "my.npz", "-o", "encoder=threshold", "-o", "encoder_threshold=1"
    )
    assert code == 2
    assert "my.npz: the option encoder has no effect on symbols: leave it out" in output
