"""The training command: reproducible, resumable, and clear about what it refuses."""

import csv
import json
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from golden import load_model
from golden.tasks import TASKS, Mnist1D
from golden.train import app
from golden.training import Recipe, train

SHIPPED = Path(__file__).parents[1] / "golden" / "models" / "mnist1d.safetensors"


class Toy:
    """Two classes told apart by their sign; ``interrupt_at`` presses Ctrl-C at that batch."""

    name = "toy"
    input_size = 2
    classes = 2

    def __init__(self, interrupt_at: int | None = None):
        self.interrupt_at = interrupt_at
        self.batches = 0

    def train(self):
        return self._make(0, 120)

    def test(self):
        return self._make(1, 50)

    def augment(self, inputs, rng):
        if self.batches == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)
        self.batches += 1
        return inputs + rng.normal(0, 0.1, inputs.shape).astype(np.float32)

    @staticmethod
    def _make(seed, count):
        rng = np.random.default_rng(seed)
        labels = np.arange(count) % 2
        x = rng.normal(size=(count, 6, 2)) + (2 * labels - 1)[:, None, None]
        return x.astype(np.float32), labels


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    torch.set_num_threads(1)
    toy = Toy()
    monkeypatch.setitem(TASKS, "toy", toy)
    yield toy
    torch.use_deterministic_algorithms(False)


def run(*words) -> tuple[int, str]:
    """Exit code and output, free of boxes and line breaks."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.exit_code, re.sub(r"[\s│╭╮╰╯─]+", " ", result.output)


def toy_run(out: Path, *words) -> tuple[int, str]:
    return run("toy", "--hidden", 5, "--epochs", 12, "--out", out, *words)


def test_writes_a_model_a_report_and_the_course_of_the_training(tmp_path):
    out = tmp_path / "new" / "toy.safetensors"
    code, output = toy_run(out)
    assert code == 0, output
    assert "accuracy:" in output
    assert sorted(p.suffix for p in out.parent.iterdir()) == [".csv", ".json", ".safetensors"]
    report = json.loads(out.with_suffix(".json").read_text())
    rows = list(csv.DictReader(out.with_suffix(".csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])

    model = load_model(out)
    assert (
        model.config["training"]["command"] == "python -m golden.train toy --hidden 5 --epochs 12"
    )
    assert model.config["results"] == report["results"]
    x, labels = Toy().test()
    outputs = model.integer.run(model.integer.quantize_inputs(x)).outputs
    assert report["results"]["accuracy"][1] == (outputs.argmax(1) == labels).mean()
    logits = model.network()(torch.from_numpy(x))
    assert report["results"]["accuracy"][0] == (logits.argmax(1).numpy() == labels).mean()


def test_the_smallest_training_there_is_works(tmp_path):
    assert toy_run(tmp_path / "a", "--epochs", 1, "--hidden", 1, "--limit", 1)[0] == 0


def test_same_seed_gives_the_same_file_and_another_seed_another(tmp_path):
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert toy_run(tmp_path / name, "--seed", seed, "--epochs", 2)[0] == 0
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] != files[2]


def test_resuming_after_ctrl_c_equals_an_uninterrupted_run(tmp_path, toy):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert toy_run(whole)[0] == 0
    toy.interrupt_at = toy.batches + 9  # two batches an epoch: in the middle of the fifth
    code, output = toy_run(parts)
    assert code == 130
    assert "--resume" in output
    assert not parts.exists()
    checkpoint = torch.load(parts.with_suffix(".checkpoint"), weights_only=True)
    assert len(checkpoint["history"]) == 5
    assert toy_run(parts, "--resume")[0] == 0
    assert whole.read_bytes() == parts.read_bytes()


def test_a_crash_costs_at_most_ten_epochs(tmp_path):
    class Crash(Toy):
        def augment(self, inputs, rng):
            if self.batches == 30:
                raise RuntimeError
            return super().augment(inputs, rng)

    recipe = Recipe(hidden=4, epochs=20, batch=60)
    with pytest.raises(RuntimeError):
        train(Crash(), recipe, tmp_path / "c")
    network, history = train(Toy(), recipe, tmp_path / "c", resume=True)
    expected, _ = train(Toy(), recipe, tmp_path / "d")
    assert len(history) == 20
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name]), name


def test_activity_above_its_target_is_priced_away(tmp_path):
    activity = []
    for price in (0.0, 5.0):
        recipe = Recipe(hidden=10, epochs=60, activity_price=price, target_activity=0.05)
        activity.append(train(Toy(), recipe, tmp_path / "c")[1][-1].activity)
    assert activity[1] < 0.75 * activity[0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("mnist2d",), "'mnist2d' is not one of: mnist1d, toy"),
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


def test_resuming_with_other_options_rejected(tmp_path, toy):
    toy.interrupt_at = 1
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


def test_mnist1d_is_the_standard_split_and_leaves_global_generators_alone():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    task = Mnist1D()
    x, labels = task.train()
    x_test, labels_test = task.test()
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002
    assert (x.shape, x_test.shape) == ((4000, 40, 1), (1000, 40, 1))
    assert (x.dtype, labels.dtype) == (np.float32, np.int64)
    assert set(labels) == set(labels_test) == set(range(10))
    everything = np.concatenate([x, x_test])
    assert abs(everything.mean()) < 1e-5
    assert abs(everything.std() - 1) < 1e-5


def test_mnist1d_augmentation_is_seeded_and_mild():
    task = Mnist1D()
    x, _ = task.train()
    before = x.copy()
    first, second = (task.augment(x, np.random.default_rng(s)) for s in (0, 0))
    assert np.array_equal(first, second)
    assert np.array_equal(x, before)
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    correlations = [np.corrcoef(a[:, 0], b[:, 0])[0, 1] for a, b in zip(x, first, strict=True)]
    assert 0.6 < np.mean(correlations) < 0.99


def test_tasks_need_no_torch():
    code = (
        "import sys; from golden.tasks import TASKS; TASKS['mnist1d'].test(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
