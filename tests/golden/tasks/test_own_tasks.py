"""A user's own task: one file outside the package, found by name and checked."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from golden.objective import OBJECTIVES
from golden.tasks import FileTask, Split, Task, find, of_model
from golden.tasks.checks import check
from golden.tasks.options import describe, options, with_options

OWN = '''
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from golden.tasks import Recipe, Split, Task


@dataclass(frozen=True)
class Parity(Task):
    """Whether the number of ones is odd."""

    steps: int = 4
    noise: float = 0.0
    code: Literal["bits", "signs"] = "bits"
    flip: bool = False

    input_size = 1
    classes = 2
    recipe = Recipe(hidden_size=6, epochs=2, batch_size=8)

    def everything(self):
        return self._make(0, 40)

    def test(self):
        return self._make(1, 10)

    def _make(self, seed, count):
        bits = np.random.default_rng(seed).integers(0, 2, (count, self.steps, 1))
        return Split(bits.astype(np.float32), bits.sum((1, 2)) % 2)


class NoTask:
    pass


class Incomplete(Task):
    input_size = 1


class Named(Parity):
    recipe = "mnist1d"


@dataclass(frozen=True)
class Mistyped(Parity):
    recipe: Recipe = Recipe()
'''


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with an own task in my_task.py."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_task.py").write_text(OWN)
    return tmp_path


def test_an_own_task_is_named_as_the_user_wrote_it_and_has_its_own_recipe_and_options(folder):
    task = find("my_task.py:Parity")
    assert task.name == "my_task.py:Parity"
    assert (task.recipe.hidden_size, task.recipe_for("gru").cell) == (6, "gru")
    assert describe(task) == "steps=INT, noise=FLOAT, code=bits|signs, flip=BOOL"
    given = {"steps": "3", "noise": "1", "code": "signs", "flip": "true"}
    with pytest.raises(
        ValueError, match=r"noise of my_task.py:Parity must be a finite number, not"
    ):
        with_options(task, None, {"noise": "inf"})
    changed = with_options(task, None, given)
    assert options(changed) == {"steps": 3, "noise": 1.0, "code": "signs", "flip": True}
    assert with_options(task, None, options(changed)) == changed  # as a model file gives them
    check(changed)


def test_the_example_in_the_documentation_is_a_task(folder):
    _, example = Task.__doc__.split("::\n", 1)
    example, _ = example.split("    Attributes:", 1)
    imports = "import numpy as np\nfrom golden.tasks import Recipe, Split, Task\n"
    (folder / "example.py").write_text(imports + textwrap.dedent(example))
    check(find("example.py:Sign"))


def test_the_task_of_a_model_is_looked_for_here_and_then_beside_the_model(folder):
    config = {"task": "my_task.py:Parity", "options": {"steps": 5}}
    away = folder / "away"
    away.mkdir()
    assert of_model(away / "model.safetensors", config).test().inputs.shape == (10, 5, 1)
    (folder / "my_task.py").rename(away / "my_task.py")
    assert of_model(away / "model.safetensors", config).test().inputs.shape == (10, 5, 1)
    (away / "my_task.py").unlink()
    with pytest.raises(ValueError, match=r"Parity is defined in my_task.py, which is neither in"):
        of_model(away / "model.safetensors", config)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.py:Parity", "there is no file 'none.py' to load the task Parity from"),
        ("my_task.py:Party", "my_task.py has no class Party: its tasks are Parity, Incomplete, "),
        ("my_task.py:", "my_task.py has no class : its tasks are Parity"),
        ("my_task.py:NoTask", "NoTask in my_task.py is not a task: derive it from golden.tasks"),
        ("my_task.py:Task", "Task in my_task.py is not a task"),
        ("my_task.py:Incomplete", "Incomplete in my_task.py is not complete: it does not define "
         "everything, test"),
        ("my_task.py:Mistyped", "the field recipe of my_task.py:Mistyped is of type Recipe, but"),
        ("notes.txt:Parity", "notes.txt is not a Python file: its name must end in .py"),
        ("typo.py:Parity", "typo.py fails in line 2 with SyntaxError: "),
        ("fails.py:Parity", "fails.py fails in line 3 with ModuleNotFoundError: No module named "),
        ("exits.py:Parity", "exits.py fails in line 1 with SystemExit: 3"),
        ("empty.py:Parity", "empty.py has no class Parity: it defines no task"),
        ("my_task.py:Named", "the recipe of Named in my_task.py must be a golden.tasks.Recipe"),
        ("needs.py:Needs", "Needs in needs.py cannot be constructed without arguments"),
    ],
)  # fmt: skip
def test_a_name_that_is_no_task_rejected_with_one_sentence(folder, name, sentence):
    (folder / "notes.txt").write_text("")
    (folder / "typo.py").write_text("x = 1\nclass :\n")
    (folder / "fails.py").write_text("def f():\n    return 1\nimport nowhere\n")
    (folder / "exits.py").write_text("raise SystemExit(3)\n")
    (folder / "empty.py").write_text("from golden.tasks import Task\n")
    (folder / "needs.py").write_text(
        OWN + "\nclass Needs(Parity):\n    def __init__(self, size): pass\n"
    )
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        find(name)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


class Bare(Task):
    """A task of given arrays."""

    name = "bare"
    input_size = 2
    classes = 3
    split: Split

    def everything(self):
        return self.split

    test = everything


FLOATS, CLASSES = np.zeros((4, 5, 2), np.float32), np.zeros(4, np.int64)
REAL, VALUES = np.ones((4, 2), np.float32), {"classes": None, "values": 2}


@pytest.mark.parametrize(
    ("split", "attributes", "sentence"),
    [
        ((FLOATS, CLASSES), {}, "everything() must return a Split"),
        (Split(FLOATS, [0, 1, 2, 0]), {}, "everything() must return a Split of two NumPy arrays"),
        (Split(FLOATS.astype(float), CLASSES), {}, "inputs must be float32 of shape (N, T, 2), or"),
        (Split(FLOATS[..., :1], CLASSES), {}, "not float32 of shape (4, 5, 1)"),
        (Split(FLOATS[:0], CLASSES[:0]), {}, "inputs must not be empty: its shape is (0, 5, 2)"),
        (Split(FLOATS + np.float32(np.nan), CLASSES), {}, "inputs must be finite"),
        (Split(FLOATS[..., 0].astype(int) + 2, CLASSES), {}, "must be symbols 0 to 1, not 2 to 2"),
        (Split(FLOATS, CLASSES.astype(np.int32)), {}, "targets must be int64 of shape (4,), not"),
        (Split(FLOATS, CLASSES[1:]), {}, "targets must be int64 of shape (4,), not int64 of shape"),
        (Split(FLOATS, CLASSES), {"readout": "steps"}, "targets must be int64 of shape (4, 5)"),
        (Split(FLOATS, CLASSES + 3), {}, "must be classes 0 to 2, or -1 where none is scored, not"),
        (Split(FLOATS, CLASSES), VALUES, "targets must be float32 of shape (4, 2), not int64 of"),
        (Split(FLOATS, REAL[:, :1]), VALUES, "must be float32 of shape (4, 2), not float32 of"),
        (Split(FLOATS, REAL * np.float32(np.inf)), VALUES, "targets must be finite, or NaN where"),
        (Split(FLOATS, REAL * np.float32(np.nan)), VALUES, "targets must not all be NaN: none is"),
        (Split(FLOATS, CLASSES), {"stream": True}, "must have one sequence, a stream, not 4"),
        (
            Split(FLOATS[:1], CLASSES[:1], np.array([5])),
            {"stream": True},
            "is a stream, which has no lengths: leave them out",
        ),
    ],
)
def test_invalid_sequences_rejected(split, attributes, sentence):
    task = type("Given", (Bare,), {"split": split, **attributes})()
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        check(task)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("bare: everything()")


@pytest.mark.parametrize("attributes", [{}, VALUES])
@pytest.mark.parametrize("readout", ["mean", "last", "steps"])
def test_sequences_of_different_lengths_may_have_anything_in_the_padding(readout, attributes):
    lengths = np.array([5, 1, 3, 2])
    padding = np.arange(5) >= lengths[:, None]
    real = attributes is VALUES
    inputs = np.ones((4, 5, 2), np.float32)
    inputs[padding] = np.nan
    targets = np.ones((4, 5, 2), np.float32) if real else np.ones((4, 5), np.int64)
    targets[padding] = np.inf if real else 99
    split = Split(inputs, targets if readout == "steps" else targets[:, 0], lengths)
    check(type("Given", (Bare,), {"split": split, "readout": readout, **attributes})())
    assert np.isnan(inputs[1, 1, 0])
    assert not split.inputs[padding].any()
    assert split.steps == 11
    if readout == "steps":
        scored = OBJECTIVES["values" if real else "classes"].scored(split.targets)
        assert np.array_equal(scored[..., 0] if real else scored, ~padding)
    taken = split.take(np.array([2, 0]))
    assert taken.lengths.tolist() == [3, 5]
    assert np.array_equal(taken.inputs, split.inputs[[2, 0]])


def test_an_own_task_with_bad_lengths_rejected_with_the_sequence():
    class Given(Bare):
        def everything(self):
            return Split(FLOATS, CLASSES, np.array([5, 1, 0, 6]))

        test = everything

    with pytest.raises(ValueError, match=r"^bare: everything\(\): the length of sequence 2 is 0"):
        check(Given())


@pytest.mark.parametrize("targets", [CLASSES, np.zeros((4, 5), np.int64), REAL])
def test_a_batch_of_short_sequences_is_trimmed_to_the_longest(targets):
    split = Split(FLOATS + 1, targets, np.array([5, 1, 3, 2])).take(slice(1, 4))
    found = split.trimmed()
    assert np.array_equal(found.inputs, split.inputs[:, :3])
    per_step = targets.shape == (4, 5)
    expected = split.targets[:, :3] if per_step else split.targets
    assert np.array_equal(found.targets, expected)
    assert found.lengths.tolist() == [1, 3, 2]
    whole = Split(FLOATS, targets)
    assert whole.trimmed() is whole


def test_a_split_can_be_used_as_a_pair():
    split = Split(FLOATS, CLASSES, np.array([5, 1, 3, 2]))
    inputs, targets = split
    assert split[0] is inputs
    assert split[1] is targets
    assert split.targets is targets
    with pytest.raises(ValueError, match="the length of sequence 3 is 6: expected 1 to 5"):
        Split(FLOATS, CLASSES, np.array([5, 1, 3, 6]))


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"readout": "sum"}, "bare: readout must be 'mean' or 'steps' or 'last', not 'sum'"),
        ({"input_size": 0}, "input_size of bare must be a positive integer, not 0"),
        (
            {"classes": None},
            "bare must define either classes, the number of classes, or values, .*",
        ),
        ({"values": 2}, "bare must define either classes, the number of classes, or values, .*"),
        ({"classes": None, "values": 0}, "values of bare must be a positive integer, not 0"),
        ({"classes": "ten"}, "classes of bare must be a positive integer, not 'ten'"),
    ],
)
def test_invalid_attributes_rejected(attributes, sentence):
    task = type("Given", (Bare,), {"split": Split(FLOATS, CLASSES), **attributes})()
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        check(task)


def test_an_own_task_that_reads_files_names_what_to_fetch(folder):
    text = "from golden.tasks import FileTask\nclass Mine(FileTask):\n" + "".join(
        f"    {line}\n"
        for line in (
            "source = 'the recordings'", "input_size = classes = 1",
            "everything = test = lambda self: self.path()",
        )
    )  # fmt: skip
    (folder / "mine.py").write_text(text)
    task = find("mine.py:Mine")
    assert isinstance(task, FileTask)
    with pytest.raises(ValueError, match=r"mine.py:Mine needs data: fetch the recordings, and"):
        check(task)
    elsewhere = with_options(task, folder / "none", {})
    with pytest.raises(ValueError, match=r"there is nothing at .*none: fetch the recordings"):
        check(elsewhere)
