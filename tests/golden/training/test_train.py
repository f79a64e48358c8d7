"""The training command: reproducible, resumable, and clear about what it refuses."""

import json
import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from egru_cli.app import subcommand
from golden import load_model
from golden.evaluation import fold, in_words, score_network
from golden.objective import CLASSES
from golden.recipe import Recipe
from golden.tasks import TASKS, Split, Task
from golden.training import Files, Interrupted, build, train
from golden.training.batches import Batches
from golden.training.command import train_command
from tests.helpers.toy import RECIPE, Toy, at_batch, course, equal, names, run, toy_run, weights

pytestmark = pytest.mark.usefixtures("toy")


def test_writes_a_model_a_report_and_the_course_of_the_training(tmp_path, caplog):
    out = tmp_path / "new" / "toy.safetensors"
    with caplog.at_level(logging.INFO):
        code, output = toy_run(out, "--learning-rate", 0.02)
    assert code == 0, output
    assert "epoch 6/6  loss" in caplog.text
    assert "accuracy:" in caplog.text
    assert sorted(p.suffix for p in out.parent.iterdir()) == [
        ".csv", ".json", ".safetensors", ".tensorboard",
    ]  # fmt: skip
    report = json.loads(out.with_suffix(".json").read_text())
    rows = course(out)
    assert [int(row["epoch"]) for row in rows] == list(range(1, 7))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert any(out.with_suffix(".tensorboard").iterdir())

    model = load_model(out)
    command = "egru train toy --hidden-size 4 --learning-rate 0.02"
    assert model.config["training"]["command"] == command
    assert model.config["results"] == report["results"]
    x, labels = Toy().test()
    outputs = model.integer.run(model.integer.quantize_inputs(x)).outputs
    assert report["results"]["accuracy"][1] == (outputs.argmax(1) == labels).mean()
    logits = model.network()(torch.from_numpy(x))
    assert report["results"]["accuracy"][0] == (logits.argmax(1).numpy() == labels).mean()
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).item()
    assert report["results"]["loss"][0] == pytest.approx(loss, rel=1e-5)

    code, output = run("eval", out, "--json")
    assert json.loads(output) == {"model": str(out), "task": "toy", **report["results"]}


def test_the_smallest_training_works(tmp_path):
    assert toy_run(tmp_path / "a", "--epochs", 1, "--hidden-size", 1, "--limit", 1)[0] == 0


def test_same_seed_gives_the_same_file_and_another_seed_another(tmp_path):
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert toy_run(tmp_path / name, "--seed", seed, "--epochs", 2)[0] == 0
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize("cell", ["egru", "gru", "lstm"])
def test_resuming_after_ctrl_c_equals_an_uninterrupted_run(tmp_path, monkeypatch, cell):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert toy_run(whole, "--cell", cell)[0] == 0
    acting = at_batch(7, lambda: signal.raise_signal(signal.SIGINT))  # in the fourth epoch
    monkeypatch.setitem(TASKS, "toy", acting)
    code, output = toy_run(parts, "--cell", cell)
    assert code == 130
    assert "--resume" in output
    assert not parts.exists()
    checkpoint = torch.load(parts.with_suffix(".checkpoint"), weights_only=True)
    assert len(checkpoint["history"]) == 4
    assert toy_run(parts, "--cell", cell, "--resume")[0] == 0
    assert whole.read_bytes() == parts.read_bytes()
    assert course(whole) == course(parts)


@pytest.mark.parametrize("signals", [2 * [signal.SIGINT], [signal.SIGTERM]])
def test_a_second_ctrl_c_and_sigterm_stop_at_once(tmp_path, monkeypatch, signals):
    def stop():
        for number in signals:
            signal.raise_signal(number)

    monkeypatch.setitem(TASKS, "toy", at_batch(2, stop))
    code, output = toy_run(tmp_path / "a")
    assert code == 130
    assert "--resume" in output
    checkpoint = torch.load(tmp_path / "a.checkpoint", weights_only=True)
    assert len(checkpoint["history"]) == 1


def test_a_network_that_cannot_be_quantised_is_kept(tmp_path, monkeypatch):
    def refuse(network, inputs, lengths):
        raise ValueError("an accumulator could overflow")

    monkeypatch.setattr("golden.training.building.quantize", refuse)
    code, output = toy_run(tmp_path / "a")
    assert code == 2
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

    recipe = replace(RECIPE, patience=2, epochs=60, learning_rate=0.3, hidden_size=8)
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


def test_resuming_a_training_that_stopped_early_trains_no_further_epoch(tmp_path):
    recipe = replace(RECIPE, patience=2, epochs=60, learning_rate=0.3, hidden_size=8)
    network, history = train(Toy(), recipe, Files(tmp_path / "a"))
    assert len(history) < 60

    def fail():
        raise AssertionError("a batch was drawn")

    again, same = train(at_batch(0, fail), recipe, Files(tmp_path / "a"), resume=True)
    assert same == history
    assert equal(weights(again), weights(network))


def test_a_loss_that_is_not_finite_ends_the_training_with_a_sentence(tmp_path, monkeypatch):
    @dataclass(frozen=True, eq=False)
    class Broken(Toy):
        def augment(self, inputs, rng):
            return inputs * np.float32(np.nan)

    monkeypatch.setitem(TASKS, "toy", Broken())
    code, output = toy_run(tmp_path / "a", "--learning-rate", 0.5)
    assert code == 2
    assert (
        "the training diverged in epoch 1, where its loss is nan: train with a lower "
        "--learning-rate than 0.5, and with --overwrite" in output
    )
    assert names(tmp_path) == {"a.tensorboard"}


def spoil_after_the_last_batch(value):
    """A Toy that the last update of the last epoch leads astray."""
    step = torch.optim.AdamW.step
    updates = iter(range(1, 100))

    def spoiled(self, closure=None):
        loss = step(self, closure)
        if next(updates) == 12:
            with torch.no_grad():
                self.param_groups[0]["params"][-1].fill_(value)
        return loss

    return spoiled


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "in epoch 6, where readout.bias is nan"),
        (np.inf, "in epoch 6, where readout.bias is inf"),
    ],
)
def test_a_network_that_is_not_finite_leaves_no_broken_file(tmp_path, monkeypatch, value, words):
    monkeypatch.setattr(torch.optim.AdamW, "step", spoil_after_the_last_batch(value))
    code, output = toy_run(tmp_path / "a")
    assert code == 2
    assert f"the training diverged {words}: train with a lower --learning-rate" in output
    assert names(tmp_path) == {"a.checkpoint", "a.csv", "a.tensorboard"}
    assert len(course(tmp_path / "a")) == 5


def test_a_test_loss_that_is_not_finite_leaves_no_broken_file(tmp_path, monkeypatch):
    results = {"loss": [np.nan], "accuracy": [0.5], "activity": [[0.5]], "test_targets": 5}
    monkeypatch.setattr("golden.training.outcome.evaluate", lambda *_: results)
    code, output = toy_run(tmp_path / "a")
    assert code == 2
    assert "diverged by the last epoch, where the loss on the test set is nan: train" in output
    assert names(tmp_path) == {"a.checkpoint", "a.csv", "a.tensorboard"}


@pytest.mark.parametrize("option", ["--clip", "--update-bias", "--activity-price"])
def test_infinite_options_rejected(tmp_path, option):
    code, output = toy_run(tmp_path / "a", option, "inf")
    assert code == 2
    assert f"{option[2:].replace('-', '_')} must be a finite number" in output


def test_an_enormous_loss_is_printed():
    results = {"loss": [1000.0], "accuracy": [0.1], "activity": [[0.1]], "test_targets": 5}
    assert "perplexity inf" in in_words(results, CLASSES)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory: 1 byte")])
def test_a_training_too_large_for_memory_gets_a_sentence(tmp_path, monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setitem(TASKS, "toy", at_batch(0, fail))
    code, output = toy_run(tmp_path / "a")
    assert code == 2
    assert output.startswith("error: there is not enough memory")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--hidden-size", 10**8), "Invalid value for '--hidden-size'"),
        (("--num-layers", 10**9), "Invalid value for '--num-layers'"),
        (
            ("--hidden-size", 8192, "--num-layers", 100),
            "error: num_layers 100, hidden_size 8192 and input_size 2 give 40069775360 parameters, "
            "more than 268435456: reduce hidden_size",
        ),
        (
            ("delay-copy", "--hidden-size", 8000, "--batch-size", 4096),
            "error: batches of 4096 sequences of 38 steps have 1245184000 states of units, "
            "more than 268435456: reduce --batch-size",
        ),
        (("delay-copy", "-o", "bits=40"), "error: the option bits of delay-copy must be from 2 to"),
        (("delay-copy", "-o", "delay=1000000000"), "error: the option delay of delay-copy must be"),
    ],
)
def test_sizes_beyond_the_limits_rejected_at_once(tmp_path, words, sentence):
    task = () if words[0] == "delay-copy" else ("toy",)
    code, output = run("train", *task, *words, "--out", tmp_path / "a")
    assert code == 2
    assert sentence in output


def test_several_processes_record_the_command_that_repeats_them(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    command = "train toy --seed 1"
    recipe = replace(RECIPE, seed=1)
    assert train_command(Toy(), recipe) == f"torchrun --nproc-per-node 2 -m egru_cli {command}"
    monkeypatch.delenv("WORLD_SIZE")
    assert train_command(Toy(), recipe) == f"egru {command}"


def test_a_model_reads_only_the_symbols_that_it_was_trained_on(tmp_path):
    texts = [tmp_path / name for name in ("a.txt", "b.txt")]
    for path, words in zip(texts, ("abc bca. ", "abd bda. "), strict=True):
        path.write_text(words * 300)
    out = tmp_path / "model.safetensors"
    words = (
        "train",
        "charlm",
        "--data",
        texts[0],
        "--hidden-size",
        3,
        "--epochs",
        1,
        "--batch-size",
        2,
    )
    assert run(*words, "--out", out)[0] == 0
    assert load_model(out).config["symbols"] == list(" .abc")
    assert run("eval", out, "--data", texts[0])[0] == 0
    for command in ("eval", "tune", "sim"):
        code, output = run(command, out, "--data", texts[1])
        assert code == 2
        assert output.startswith(
            f"error: {texts[1]}: the text has other symbols than the text that"
        )


def test_the_penalty_reduces_activity_above_its_target(tmp_path):
    activity = []
    for price in (0.0, 5.0):
        recipe = Recipe(
            hidden_size=10, epochs=30, activity_price=price, target_activity=0.05, num_layers=2
        )
        activity.append(train(Toy(), recipe, Files(tmp_path / "c"))[1][-1].activity)
    assert activity[1] < 0.75 * activity[0]


def test_streams_are_read_in_windows_with_the_state_carried(tmp_path):
    @dataclass(frozen=True, eq=False)
    class Symbols(Task):
        name, readout, stream = "symbols", "steps", True
        input_size = classes = 3

        def everything(self):
            symbols = np.random.default_rng(0).integers(0, 3, 241)
            return Split(symbols[None, :-1], symbols[None, 1:])

        test = everything

    # The learning rate is too small for any effect: the loss is that of the final network.
    recipe = Recipe(
        hidden_size=12, epochs=1, batch_size=4, learning_rate=1e-12, window=5, threshold_mean=0.05
    )
    network, history = train(Symbols(), recipe, Files(tmp_path / "a"))
    streams = fold(Symbols().everything(), 4)
    assert history[0].loss == pytest.approx(score_network(network, streams, True).loss, rel=1e-6)
    cut = Split(*(array.reshape(-1, 5) for array in streams))
    assert history[0].loss != pytest.approx(score_network(network, cut, False).loss, rel=1e-4)


def test_a_limit_bounds_what_is_read_of_every_stream(tmp_path, monkeypatch):
    text, out, read = tmp_path / "text.txt", tmp_path / "a.safetensors", []
    text.write_text("abc bca. " * 1000)

    def score(network, split, stream, objective):
        read.append(split.targets.size)
        return score_network(network, split, stream, objective)

    monkeypatch.setattr("golden.training.loop.score_network", score)
    words = ("--limit", 50, "--patience", 1, "--epochs", 1, "--batch-size", 2, "--hidden-size", 3)
    assert run("train", "charlm", "--data", text, "--out", out, *words)[0] == 0
    assert read == [50]
    assert load_model(out).config["results"]["test_targets"] == 50
    assert run("tune", out, "--data", text, "--epochs", 1)[0] == 0
    tuned = load_model(tmp_path / "a-4bit.safetensors")
    assert tuned.config["results"]["test_targets"] == 50
    assert '"test_targets": 899' in run("eval", out, "--data", text, "--json")[1]


def test_processes_share_a_batch_and_epochs_differ():
    def inputs(epoch, rank, processes):
        found = list(Batches(Toy(), replace(RECIPE, batch_size=7), lambda: epoch, rank, processes))
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
    # Batches of 5, 5 and 1: the parts are unequal, and one process has no part of the last.
    words = ["train", "delay-copy", "--hidden-size", "6", "--epochs", "2", "--batch-size", "5",
             "--limit", "11", "--activity-price", "1", "--start-activity", "0",
             "--target-activity", "0"]  # fmt: skip
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(*words, "--out", one)[0] == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", "-m", "egru_cli"]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *words, "--out", two], check=True, env=environment, timeout=300)
    models = [load_model(path) for path in (one, two)]
    for name, value in models[0].parameters.items():
        assert np.allclose(value, models[1].parameters[name], rtol=0, atol=1e-5), name
    losses = [[float(row["loss"]) for row in course(path)] for path in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("toy", "--cell", "rnn"), "Invalid value for '--cell'"),
        (("toy", "--epochs", 0), "Invalid value for '--epochs'"),
        (("toy", "--hidden-size", "many"), "Invalid value for '--hidden-size'"),
        (("toy", "--colour", "red"), "No such option: --colour"),
        ((), "there is nothing to train on"),
    ],
)
def test_bad_arguments_rejected(words, sentence):
    code, output = run("train", *words)
    assert code == 2
    assert sentence.lower() in output.lower()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("mnist2d",), "there is no task 'mnist2d': use one of mnist1d, "),
        (("toy", "-o", "scan=rows"), "toy has no option 'scan': it has no options"),
        (("toy", "--data", "."), "toy reads no files: leave out --data"),
        (("toy", "--embedding-size", 5), "--embedding-size has no effect without a language model"),
        (("smnist",), "smnist needs data: fetch"),
        (
            ("smnist", "-o", "encoding=rows"),
            "smnist has no option 'encoding': its options are scan=",
        ),
        (("smnist", "-o", "scan"), "an option of a task has the form NAME=VALUE, not 'scan'"),
        (("smnist", "-o", "scan=rows", "-o", "scan=rows"), "the option scan is given twice: leave"),
        (("smnist", "-o", "scan=up"), "option scan of smnist must be rows or pixels, not 'up'"),
        (("delay-copy", "-o", "bits=3.5"), "bits of delay-copy must be a whole number, not '3.5'"),
    ],
)
def test_options_that_do_not_suit_the_task_rejected(words, sentence, tmp_path):
    code, output = run("train", *words, "--out", tmp_path / "a")
    assert code == 2
    assert sentence in output
    assert not any(tmp_path.iterdir())


def fail():
    raise AssertionError("a batch was drawn")


@pytest.mark.parametrize(
    ("command", "part", "words"),
    [("train", "test", ()), ("train", "validation", ("--patience", 2)), ("tune", "test", ())],
)
def test_all_data_that_will_be_needed_are_checked_before_the_first_epoch(
    tmp_path, monkeypatch, command, part, words
):
    out = tmp_path / "a.safetensors"
    assert toy_run(out, "--epochs", 1)[0] == 0
    task = at_batch(0, fail)
    monkeypatch.setitem(TASKS, "toy", task)
    for split, sentence in (
        (Toy().test().take(slice(0)), "inputs must not be empty"),
        (Split(Toy().test().inputs, np.full(50, -1)), "targets must not all be -1"),
    ):
        monkeypatch.setattr(type(task), part, lambda self, split=split: split)
        subject = {"train": "toy", "tune": out}[command]
        code, output = run(command, subject, "--out", tmp_path / "b", *words)
        assert code == 2, output
        assert f"toy: {part}().{sentence}" in output


def test_interrupting_the_library_raises_an_exception_that_says_how_to_resume(tmp_path):
    files = Files(tmp_path / "a.safetensors")
    with pytest.raises(Interrupted, match=r"continue with --resume, from .*a\.checkpoint"):
        build(at_batch(3, lambda: signal.raise_signal(signal.SIGINT)), RECIPE, files)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="nothing to resume"):
        build(at_batch(0, interrupt), RECIPE, Files(tmp_path / "b"))


def test_help_and_the_list_of_names_need_no_torch():
    code = (
        "import sys; import egru_cli.train, egru_cli.tune, egru_cli.eval, golden.training; "
        "assert sorted(dir(golden.training)) == sorted(golden.training.__all__); "
        "assert not {'torch', 'lightning'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("command", ["train", "tune", "eval"])
def test_every_option_has_a_help_and_a_default(command):
    parameters = subcommand(command).params
    assert {"threads", "data"} <= {parameter.name for parameter in parameters}
    for parameter in parameters:
        assert parameter.help, parameter.name
        assert parameter.help.endswith("."), parameter.name
        assert (
            parameter.required
            or parameter.name in ("data", "option")
            or (parameter.default is not None or isinstance(parameter.show_default, str))
        ), parameter.name
