"""The training command: reproducible, resumable, and clear about what it refuses."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import golden.eval
import golden.fine_tune
from golden import load_model, save_model
from golden.batches import Batches
from golden.evaluation import fold, score_network
from golden.quantization import QuantizeConfig, quantize
from golden.recipes import OTHER_MODELS, RECIPES, Recipe
from golden.tasks import TASKS, Split, Task
from golden.train import app
from golden.training import Files, make_network, target_activity, train

SHIPPED = Path(__file__).parents[1] / "golden" / "models" / "mnist1d.safetensors"
RECIPE = Recipe(hidden=5, epochs=6, target_activity=0.18)


@dataclass(frozen=True, eq=False)
class Toy(Task):
    """Two classes told apart by their sign."""

    name = "toy"
    input_size = 2
    classes = 2

    def everything(self):
        return self._make(0, 120)

    def test(self):
        return self._make(1, 50)

    def augment(self, inputs, rng):
        return inputs + rng.normal(0, 0.1, inputs.shape).astype(np.float32)

    @staticmethod
    def _make(seed, count):
        rng = np.random.default_rng(seed)
        labels = np.arange(count) % 2
        x = rng.normal(size=(count, 6, 2)) + (2 * labels - 1)[:, None, None]
        return Split(x.astype(np.float32), labels)


def at_batch(number: int, act) -> Toy:
    """A Toy that acts when it is asked for that batch."""
    batches = iter(range(1000))

    class Acting(Toy):
        def augment(self, inputs, rng):
            if next(batches) == number:
                act()
            return super().augment(inputs, rng)

    return Acting()


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    torch.set_num_threads(1)
    # A shell's background jobs, perhaps this one, are started with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setitem(TASKS, "toy", Toy())
    monkeypatch.setitem(RECIPES, "toy", RECIPE)
    yield
    torch.use_deterministic_algorithms(False)


def run(*words) -> tuple[int, str]:
    """Exit code and output, free of boxes and line breaks."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.exit_code, re.sub(r"[\s│╭╮╰╯─]+", " ", result.output)


def toy_run(out: Path, *words) -> tuple[int, str]:
    return run("toy", "--hidden", 4, "--out", out, *words)


def weights(network) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def course(out: Path) -> list[dict[str, str]]:
    """The epochs in a training's CSV file, but for the seconds they took."""
    with out.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


def equal(first: dict, second: dict) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_writes_a_model_a_report_and_the_course_of_the_training(tmp_path):
    out = tmp_path / "new" / "toy.safetensors"
    code, output = toy_run(out, "--rate", 0.02)
    assert code == 0, output
    assert "accuracy:" in output
    assert sorted(p.suffix for p in out.parent.iterdir()) == [
        ".csv", ".json", ".safetensors", ".tensorboard",
    ]  # fmt: skip
    report = json.loads(out.with_suffix(".json").read_text())
    rows = course(out)
    assert [int(row["epoch"]) for row in rows] == list(range(1, 7))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert any(out.with_suffix(".tensorboard").iterdir())

    model = load_model(out)
    command = "python -m golden.train toy --hidden 4 --rate 0.02"
    assert model.config["training"]["command"] == command
    assert model.config["results"] == report["results"]
    x, labels = Toy().test()
    outputs = model.integer.run(model.integer.quantize_inputs(x)).outputs
    assert report["results"]["accuracy"][1] == (outputs.argmax(1) == labels).mean()
    logits = model.network()(torch.from_numpy(x))
    assert report["results"]["accuracy"][0] == (logits.argmax(1).numpy() == labels).mean()
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).item()
    assert report["results"]["loss"][0] == pytest.approx(loss, rel=1e-5)

    evaluated = CliRunner().invoke(golden.eval.app, [str(out), "--json"])
    found = json.loads(evaluated.stdout)
    assert {name: found[name] for name in report["results"]} == report["results"]


def test_the_smallest_training_there_is_works(tmp_path):
    assert toy_run(tmp_path / "a", "--epochs", 1, "--hidden", 1, "--limit", 1)[0] == 0


def test_same_seed_gives_the_same_file_and_another_seed_another(tmp_path):
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert toy_run(tmp_path / name, "--seed", seed, "--epochs", 2)[0] == 0
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize("model", ["egru", "gru", "lstm"])
def test_resuming_after_ctrl_c_equals_an_uninterrupted_run(tmp_path, monkeypatch, model):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert toy_run(whole, "--model", model)[0] == 0
    acting = at_batch(7, lambda: signal.raise_signal(signal.SIGINT))  # in the fourth epoch
    monkeypatch.setitem(TASKS, "toy", acting)
    code, output = toy_run(parts, "--model", model)
    assert code == 130
    assert "--resume" in output
    assert not parts.exists()
    checkpoint = torch.load(parts.with_suffix(".checkpoint"), weights_only=True)
    assert len(checkpoint["history"]) == 4
    assert toy_run(parts, "--model", model, "--resume")[0] == 0
    assert whole.read_bytes() == parts.read_bytes()
    assert course(whole) == course(parts)


def test_a_second_ctrl_c_stops_at_once(tmp_path, monkeypatch):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setitem(TASKS, "toy", at_batch(3, twice))
    code, output = toy_run(tmp_path / "a")
    assert code == 130
    assert "--resume" in output
    checkpoint = torch.load(tmp_path / "a.checkpoint", weights_only=True)
    assert len(checkpoint["history"]) == 1


def test_a_network_that_cannot_be_quantised_is_kept(tmp_path, monkeypatch):
    def refuse(network, inputs):
        raise ValueError("an accumulator could overflow")

    monkeypatch.setattr("golden.train.quantize", refuse)
    code, output = toy_run(tmp_path / "a")
    assert code == 1
    assert "holds the float network only: an accumulator could overflow" in output
    file = load_model(tmp_path / "a")
    assert file.integer is None
    assert len(file.config["results"]["accuracy"]) == 1
    assert file.network()(torch.zeros(1, 4, file.network().config["input_size"])).isfinite().all()


def test_a_crash_costs_the_epoch_it_was_in(tmp_path):
    def crash():
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        train(at_batch(9, crash), RECIPE, Files(tmp_path / "c"))
    again = at_batch(4, crash)  # two epochs of two batches are left: the fifth batch never comes
    network, history = train(again, RECIPE, Files(tmp_path / "c"), resume=True)
    expected, _ = train(Toy(), RECIPE, Files(tmp_path / "d"))
    assert len(history) == 6
    assert equal(weights(network), weights(expected))


def test_early_stopping_keeps_the_best_epoch_and_trains_without_the_validation_set(tmp_path):
    seen = set()

    class Watching(Toy):
        def augment(self, inputs, rng):
            seen.update(x.tobytes() for x in inputs)
            return super().augment(inputs, rng)

    recipe = replace(RECIPE, patience=2, epochs=60, rate=0.3, hidden=8)
    task = Watching()
    network, history = train(task, recipe, Files(tmp_path / "a"))
    losses = [epoch.validation_loss for epoch in history]
    best = losses.index(min(losses))
    assert len(history) == best + 3 < 60
    validation = task.validation()
    assert len(validation.targets) == 12
    assert seen == {x.tobytes() for x in task.train().inputs}
    with torch.no_grad():
        logits = network(torch.from_numpy(validation.inputs))
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(validation.targets))
    assert loss.item() == pytest.approx(losses[best], rel=1e-5)


def test_activity_above_its_target_is_priced_away(tmp_path):
    activity = []
    for price in (0.0, 5.0):
        recipe = Recipe(hidden=10, epochs=30, activity_price=price, target_activity=0.05, layers=2)
        activity.append(train(Toy(), recipe, Files(tmp_path / "c"))[1][-1].activity)
    assert activity[1] < 0.75 * activity[0]


def test_fine_tuning_writes_a_model_of_fewer_bits_and_repeats_itself(tmp_path):
    out, fewer = tmp_path / "toy.safetensors", tmp_path / "toy-3bit.safetensors"
    assert toy_run(out, "--rate", 0.02)[0] == 0
    words = [str(out), "--weight-bits", "3", "--epochs", "4", "--rate", "0.01"]
    files = []
    for _ in range(2):
        result = CliRunner().invoke(golden.fine_tune.app, words)
        assert result.exit_code == 0, result.output
        files.append(fewer.read_bytes())
    assert files[0] == files[1]

    before, model = load_model(out), load_model(fewer)
    assert (before.integer.weight_bits, model.integer.weight_bits) == (8, 3)
    assert all(np.abs(layer.weight_recurrent).max() <= 3 for layer in model.integer.layers)
    command = "python -m golden.fine_tune toy.safetensors --weight-bits 3 --epochs 4 --rate 0.01"
    assert model.config["training"]["command"] == command
    assert model.config["before"]["results"] == before.config["results"]
    x, labels = Toy().test()
    outputs = model.integer.run(model.integer.quantize_inputs(x)).outputs
    assert model.config["results"]["accuracy"][1] == (outputs.argmax(1) == labels).mean()
    # Not what quantising alone would give: it has been trained.
    after = quantize(before.network(), Toy().everything().inputs, QuantizeConfig(weight_bits=3))
    assert not np.array_equal(after.readout.weight, model.integer.readout.weight)


def test_fine_tuning_goes_on_only_from_the_same_model_and_width(tmp_path, monkeypatch):
    models = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for path, seed in zip(models, (0, 1), strict=True):
        assert toy_run(path, "--epochs", 2, "--seed", seed)[0] == 0
    loaded = load_model(models[0])
    other = load_model(models[1]).network()
    # As the first says of itself, but with the weights of the second.
    save_model(models[1], other, None, loaded.config)

    def fine_tune(model, *words):
        words = [model, "--epochs", 3, "--out", tmp_path / "tuned", *words]
        result = CliRunner().invoke(golden.fine_tune.app, [str(word) for word in words])
        return result.exit_code, result.output

    acting = at_batch(1, lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setitem(TASKS, "toy", acting)
    assert fine_tune(models[0])[0] == 130
    for words in ((models[1],), (models[0], "--weight-bits", 5)):
        code, output = fine_tune(*words, "--resume")
        assert code == 1, output
        assert "was written by a training with other options or of another model" in output
    assert fine_tune(models[0], "--resume")[0] == 0


def test_fine_tuning_by_several_processes_reports_once(tmp_path):
    model = tmp_path / "model.safetensors"
    words = ["delay-copy", "--hidden", "6", "--epochs", "1", "--limit", "11"]
    assert run(*words, "--out", model)[0] == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", "-m", "golden.fine_tune", model,
               "--epochs", "1"]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, timeout=300, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("test set:") == 1
    assert done.stderr.count("wrote ") == 1
    assert load_model(tmp_path / "model-4bit.safetensors").integer.weight_bits == 4


def test_fine_tuning_needs_a_model_with_integers(tmp_path):
    out = tmp_path / "toy.safetensors"
    assert toy_run(out, "--model", "gru", "--epochs", 1)[0] == 0
    result = CliRunner().invoke(golden.fine_tune.app, [str(out)])
    assert result.exit_code == 1
    output = re.sub(r"\s+", " ", result.output)
    assert "has no integer model to train: name one of an EGRU" in output
    assert not (tmp_path / "toy-4bit.safetensors").exists()


def test_the_target_of_activity_falls_by_equal_factors_as_the_recipe_says(tmp_path):
    recipe = Recipe(
        epochs=10, start_activity=0.4, target_activity=0.1, target_from=0.2, target_until=0.6
    )
    targets = [target_activity(recipe, epoch) for epoch in range(10)]
    expected = [0.4, 0.4, 0.4, 0.4 / 2**0.5, 0.2, 0.2 / 2**0.5, 0.1, 0.1, 0.1, 0.1]
    assert targets == pytest.approx(expected)

    # Nothing is priced as long as all activity is allowed.
    free = replace(RECIPE, activity_price=0.0, epochs=4)
    priced = replace(free, activity_price=1.0, start_activity=1.0, target_activity=0.0,
                     target_from=0.3, target_until=0.9)  # fmt: skip
    courses = [
        [epoch.loss for epoch in train(Toy(), recipe, Files(tmp_path / "a"))[1]]
        for recipe in (free, priced)
    ]
    assert courses[0][:2] == courses[1][:2]  # epochs at 0 and 0.25
    assert courses[0][3] != courses[1][3]


def test_streams_are_read_in_windows_with_the_state_carried(tmp_path):
    @dataclass(frozen=True, eq=False)
    class Symbols(Task):
        name, readout, stream = "symbols", "steps", True
        input_size = classes = 3

        def everything(self):
            symbols = np.random.default_rng(0).integers(0, 3, 241)
            return Split(symbols[None, :-1], symbols[None, 1:])

        test = everything

    # Too small a rate to change anything: the loss is that of the network as it is at the end.
    recipe = Recipe(hidden=12, epochs=1, batch=4, rate=1e-12, window=5, threshold_mean=0.05)
    network, history = train(Symbols(), recipe, Files(tmp_path / "a"))
    streams = fold(Symbols().everything(), 4)
    assert history[0].loss == pytest.approx(score_network(network, streams, True).loss, rel=1e-6)
    cut = Split(*(array.reshape(-1, 5) for array in streams))
    assert history[0].loss != pytest.approx(score_network(network, cut, False).loss, rel=1e-4)


def test_processes_share_a_batch_and_every_epoch_draws_anew():
    def inputs(epoch, rank, processes):
        found = list(Batches(Toy(), replace(RECIPE, batch=7), lambda: epoch, rank, processes))
        return [batch.inputs for batch in found if batch.share]

    whole = inputs(0, 0, 1)
    parts = [inputs(0, rank, 2) for rank in range(2)]
    assert len(whole) == 18
    for batch, even, odd in zip(whole, parts[0], [*parts[1], whole[0][:0]], strict=False):
        assert torch.equal(batch[0::2], even)
        assert len(odd) == 0 or torch.equal(batch[1::2], odd)
    assert torch.equal(inputs(0, 0, 1)[0], whole[0])
    assert not torch.equal(inputs(1, 0, 1)[0], whole[0])


def test_several_processes_equal_one_within_rounding(tmp_path):
    # Batches of 5, 5 and 1: of unequal parts, and one of which a process has none.
    words = ["delay-copy", "--hidden", "6", "--epochs", "2", "--batch", "5", "--limit", "11",
             "--activity-price", "1", "--start-activity", "0",
             "--target-activity", "0"]  # fmt: skip
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(*words, "--out", one)[0] == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", "-m", "golden.train"]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *words, "--out", two], check=True, env=environment, timeout=300)
    models = [load_model(path) for path in (one, two)]
    for name, value in models[0].parameters.items():
        assert np.allclose(value, models[1].parameters[name], rtol=0, atol=1e-5), name
    losses = [[float(row["loss"]) for row in course(path)] for path in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_other_models_have_settings_of_their_own_which_options_override(tmp_path, monkeypatch):
    for model in ("gru", "lstm"):
        monkeypatch.setitem(OTHER_MODELS, ("toy", model), {"rate": 0.02, "hidden": 3})

    def training(*words) -> dict:
        assert run("toy", "--epochs", 1, "--out", tmp_path / "a", *words)[0] == 0
        return json.loads((tmp_path / "a.json").read_text())["training"]

    command = "python -m golden.train toy"
    for words, rate, hidden, rest in (
        ((), RECIPE.rate, RECIPE.hidden, " --epochs 1"),
        (("--model", "egru"), RECIPE.rate, RECIPE.hidden, " --epochs 1"),
        (("--model", "gru"), 0.02, 3, " --model gru --epochs 1"),
        (("--model", "lstm", "--rate", 0.1), 0.1, 3, " --model lstm --epochs 1 --rate 0.1"),
        (("--model", "gru", "--rate", 6e-3), 6e-3, 3, " --model gru --epochs 1 --rate 0.006"),
    ):
        found = training(*words)
        assert (found["rate"], found["hidden"]) == (rate, hidden)
        assert found["command"] == command + rest


def test_options_of_the_cell_are_those_of_the_network():
    options = {"surrogate_height": 0.9, "surrogate_width": 0.4, "threshold_mean": 0.2,
               "update_bias": -1.5, "drop_connect": 0.1}  # fmt: skip
    for recipe in (Recipe(), Recipe(**options)):
        config = make_network(Toy(), recipe).config
        for name in options:
            assert config[name] == getattr(recipe, name), name
    network = make_network(Toy(), Recipe(model="lstm", forget_bias=1.5))
    assert network.config["forget_bias"] == 1.5


def test_every_recipe_is_of_a_task_and_makes_a_network_for_it():
    assert RECIPES.keys() == TASKS.keys() >= {task for task, _ in OTHER_MODELS}
    for name in ("mnist1d", "delay-copy", "dvsgesture", "shd", "digits"):
        task, recipe = TASKS[name], RECIPES[name]
        network = make_network(task, recipe)
        logits = network(torch.zeros(2, 3, task.input_size))
        assert logits.shape == ((2, 3, 2) if name == "delay-copy" else (2, task.classes))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("mnist2d",), "'mnist2d' is not one of: mnist1d, "),
        (("toy", "--model", "rnn"), "Invalid value for '--model'"),
        (("toy", "--epochs", 0), "Invalid value for '--epochs'"),
        (("toy", "--hidden", "many"), "Invalid value for '--hidden'"),
        (("toy", "--colour", "red"), "No such option: --colour"),
        ((), "Missing argument 'TASK'"),
    ],
)
def test_bad_arguments_rejected(words, sentence):
    code, output = run(*words)
    assert code == 2
    assert sentence.lower() in output.lower()


def test_resuming_from_nothing_rejected(tmp_path):
    code, output = toy_run(tmp_path / "a", "--resume")
    assert (code, output.count("error:")) == (1, 1)
    assert "there is no checkpoint at" in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("toy", "--scan", "rows"), "error: toy takes no --scan"),
        (("toy", "--embedding", 5), "error: --embedding is for language models, and toy is none"),
        (("smnist",), "error: smnist needs data: fetch"),
    ],
)
def test_options_that_do_not_fit_the_task_rejected(words, sentence, tmp_path):
    code, output = run(*words, "--out", tmp_path / "a")
    assert code == 1
    assert sentence in output
    assert not any(tmp_path.iterdir())


def test_resuming_with_other_options_rejected(tmp_path, monkeypatch):
    acting = at_batch(1, lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setitem(TASKS, "toy", acting)
    assert toy_run(tmp_path / "a")[0] == 130
    code, output = toy_run(tmp_path / "a", "--resume", "--seed", 4)
    assert code == 1
    assert "was written by a training with other options" in output


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_damaged_checkpoints_rejected(tmp_path, content):
    path = tmp_path / "a.checkpoint"
    if content is None:
        torch.save([1], path)
    else:
        path.write_bytes(content)
    code, output = toy_run(tmp_path / "a", "--resume")
    assert code == 1
    assert "is not a readable checkpoint" in output


def test_places_that_cannot_be_written_rejected(tmp_path):
    (tmp_path / "file").write_text("")
    code, output = toy_run(tmp_path / "file" / "a")
    assert code == 1
    assert output.startswith("error:")


def test_shipped_model_does_what_its_file_claims():
    model = load_model(SHIPPED)
    inputs, labels = TASKS[model.config["task"]].test()
    result = model.integer.run(model.integer.quantize_inputs(inputs))
    claims = model.config["results"]
    before, after = claims["accuracy"]
    assert (result.outputs.argmax(1) == labels).mean() == after
    assert result.activity[0] == claims["activity"][0][1]
    assert before >= 0.97
    assert after >= before - 0.005
    assert result.activity[0] <= 0.2
    with torch.no_grad():
        logits = model.network()(torch.from_numpy(inputs))
    # Rounding differs between machines: a threshold may be crossed here and not there.
    assert abs((logits.argmax(1).numpy() == labels).mean() - before) <= 0.002
