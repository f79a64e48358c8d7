"""Sweeps: which trainings they need, which they make, and which they do not repeat."""

import itertools
import json
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import pytest

from egru_cli import explore, sweep
from egru_cli.sweep import TrainingFailed, settings
from golden.model_file import load
from golden.recipe import Recipe
from golden.training.tuning import recipe_of
from tests.helpers.command import invoke
from tests.helpers.toy import Toy

RECIPE = Recipe(hidden_size=5, epochs=1, target_activity=0.18)


class Here(Executor):
    """Works in this thread, at once."""

    def submit(self, function, *arguments):
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def commands(toy, monkeypatch, tmp_path) -> list[str]:
    """Trainings run in this process; the fixture is what has been trained, in order."""
    made: list[str] = []
    places = (tmp_path / f"training{number}" for number in itertools.count())

    def trained(words, given, folder):
        out = next(places) / "model.safetensors"
        if given:
            base = out.parent / given[0]
            base.parent.mkdir()
            base.write_bytes(given[1])
            words = [str(base) if word == given[0] else word for word in words]
        made.append(words[0])
        if "--hidden-size" in words:
            raise TrainingFailed("there is not enough memory")
        result = invoke(*words, "--out", out)
        assert result.exit_code == 0, result.output
        return out.read_bytes()

    monkeypatch.setattr(sweep, "trained", trained)
    return made


def swept(tmp_path: Path, *axes: str) -> sweep.Models:
    points = settings(axes, RECIPE, Toy())
    return sweep.train(points, Toy(), None, tmp_path / "out", Here(), lambda found, total: None)


def test_points_are_all_combinations_with_the_rest_of_the_recipe():
    points = settings(["weight_bits=8,4", "target_activity=0.05,0.1"], RECIPE, Toy())
    assert [(p.bits, p.recipe.target_activity) for p in points] == [
        (8, 0.05), (8, 0.1), (4, 0.05), (4, 0.1)
    ]  # fmt: skip
    for point in points:
        rest = asdict(point.recipe) | {"target_activity": RECIPE.target_activity}
        assert rest == asdict(RECIPE)


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        (["epochs"], "'epochs' is no axis of a sweep: expected NAME=VALUE,VALUE"),
        (["epochs="], "'epochs=' is no axis of a sweep"),
        (["cell=gru"], "'cell' cannot be swept: use one of activity_price, "),
        (["depth=1"], "'depth' cannot be swept: use one of activity_price, "),
        (["epochs=1,x"], "epochs=1,x: expected whole numbers, separated by commas"),
        (["dropout=x"], "dropout=x: expected numbers, separated by commas"),
        (["epochs=1", "epochs=2"], "epochs is given twice: leave one out"),
        (["epochs=0"], "epochs must be a whole number of at least 1, not 0"),
        (["weight_bits=9"], "weight_bits must be a whole number of at least 2 and at most 8"),
        (["dropout=0.1"], "--dropout has no effect without --num-layers 2 or more"),
    ],
)
def test_axes_without_a_meaning_are_refused_with_a_sentence(axes, sentence):
    with pytest.raises(ValueError, match="^" + sentence.replace("(", r"\(")):
        settings(axes, RECIPE, Toy())


def test_settings_that_differ_in_bits_alone_share_a_training(commands, tmp_path):
    found = swept(tmp_path, "weight_bits=8,4,3", "target_activity=0.2")
    assert sorted(commands) == ["train", "tune", "tune"]
    assert list(found) == [f"weight_bits={b},target_activity=0.2" for b in (8, 4, 3)]
    assert [file.integer.weight_bits for file in found.values()] == [8, 4, 3]
    assert recipe_of(found["weight_bits=8,target_activity=0.2"]).target_activity == 0.2


def test_what_is_done_is_not_trained_again(commands, tmp_path):
    first = swept(tmp_path, "weight_bits=8,4")
    before = {file.path: file.path.read_bytes() for file in first.values()}
    del commands[:]
    swept(tmp_path, "weight_bits=8,4")
    assert commands == []
    (tmp_path / "out" / "trained,weight_bits=4.safetensors").unlink()
    swept(tmp_path, "weight_bits=8,4")
    assert commands == ["tune"]
    assert {path: path.read_bytes() for path in before} == before  # byte for byte


@pytest.mark.parametrize("removed", ["trained,weight_bits=4", "trained"])
def test_models_of_other_settings_are_refused_before_any_training(commands, tmp_path, removed):
    swept(tmp_path, "weight_bits=8,4")
    (tmp_path / "out" / f"{removed}.safetensors").unlink()
    del commands[:]
    points = settings(["weight_bits=8,4"], Recipe(hidden_size=5, epochs=2), Toy())
    with pytest.raises(ValueError, match=r"trained with other settings: name another folder"):
        sweep.train(points, Toy(), None, tmp_path / "out", Here(), lambda found, total: None)
    assert commands == []


def test_a_failure_leaves_the_other_points(commands, tmp_path):
    reported = []
    points = settings(["weight_bits=8,4", "hidden_size=5,6"], RECIPE, Toy())
    found = sweep.train(
        points, Toy(), None, tmp_path / "out", Here(), lambda d, n: reported.append((len(d), n))
    )
    assert reported[-1] == (4, 4)
    failed = {title for title, model in found.items() if isinstance(model, TrainingFailed)}
    assert failed == {"weight_bits=8,hidden_size=6", "weight_bits=4,hidden_size=6"}
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.fixture
def swept_command(commands, monkeypatch, tmp_path):
    """Runs egru cost --sweep on a model of the toy task; ``cost.json`` and ``sweep.json`` of it."""
    monkeypatch.setattr(explore, "workers", lambda jobs, cluster: nullcontext(Here()))
    base = tmp_path / "toy.safetensors"
    assert invoke("train", "toy", "--epochs", 1, "--out", base).exit_code == 0

    def run(*words):
        out = tmp_path / "out"
        run.result = invoke("cost", base, *words, "--sweep", "--out", out, "--sequences", 3)
        return [json.loads((out / name).read_text()) for name in ("cost.json", "sweep.json")]

    return run


def test_the_table_of_a_sweep_has_accuracy_and_activity_of_the_integer_models(
    swept_command, tmp_path
):
    costs, trained = swept_command("weight_bits=8,3", "--search")
    assert swept_command.result.exit_code == 0, swept_command.result.output
    for bits, name in ((8, "trained"), (3, "trained,weight_bits=3")):
        results = load(tmp_path / "out" / f"{name}.safetensors").config["results"]
        rows = [row for row in costs["rows"] if row["model"] == f"weight_bits={bits}"]
        assert len({json.dumps(row["config"]) for row in rows}) == len(rows) > 10
        for row in [*rows, trained[name]]:
            assert row["accuracy"] == results["accuracy"][1]
            assert row["activity"] == results["activity"][0][1]
        grid = [row["config"]["weight_bits"] for row in rows if not row["preset"]]
        assert set(grid) == {bits}
    assert (tmp_path / "out" / "cost.png").stat().st_size > 10_000


def test_what_fails_in_a_sweep_is_named_after_the_rest_is_shown(swept_command):
    costs, trained = swept_command("hidden_size=5,6", "--preset", "tiny")
    result = swept_command.result
    assert result.exit_code == 2
    sentence = "not all models could be compared: hidden_size=6 (there is not enough memory)"
    assert result.stderr.splitlines()[-1] == f"error: {sentence}"
    assert costs["failed"] == {"hidden_size=6": "there is not enough memory"}
    assert [row["model"] for row in costs["rows"]] == ["hidden_size=5"]
    assert trained["hidden_size=6"] == {"failed": "there is not enough memory"}


def test_a_training_in_a_process_of_its_own_makes_a_model_or_names_the_reason(tmp_path):
    own = "tests/helpers/toy.py:Toy"
    words = ["train", own, "--epochs", "1"]
    with pytest.raises(TrainingFailed, match=r"^there is no file 'tests/helpers/toy.py'"):
        sweep.trained(words, None, str(tmp_path))
    root = Path(__file__).parents[2]
    (tmp_path / "model.safetensors").write_bytes(sweep.trained(words, None, str(root)))
    assert recipe_of(load(tmp_path / "model.safetensors")).epochs == 1
