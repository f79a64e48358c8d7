"""Trains a model's task again with other settings, and keeps each model in a file."""

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from golden import output
from golden.model_file import ModelFile, load
from golden.recipe import Recipe, Tuning, kind
from golden.tasks import Task

BITS = "weight_bits"
TRAINED_BITS = 8  # of the integer model that egru train makes; any other number is tuned for


class TrainingFailed(Exception):
    """A training ended with an error; the message is its sentence."""


Models = dict[str, ModelFile | TrainingFailed]


@dataclass(frozen=True)
class Setting:
    """A point of a sweep.

    Attributes:
        values: the swept values by name.
        recipe: the recipe with them.
        bits: bits per weight.
    """

    values: Mapping[str, Any]
    recipe: Recipe
    bits: int

    @property
    def title(self) -> str:
        """The values in words."""
        return ",".join(f"{name}={value}" for name, value in self.values.items())

    @property
    def trained(self) -> str:
        """Name of the model that egru train makes; settings that share it share the training."""
        rest = [f"{name}={value}" for name, value in self.values.items() if name != BITS]
        return ",".join(rest) or "trained"

    @property
    def name(self) -> str:
        """Name of the point's own model."""
        return self.trained + ("" if self.bits == TRAINED_BITS else f",{BITS}={self.bits}")


def settings(axes: Sequence[str], recipe: Recipe, task: Task) -> list[Setting]:
    """All combinations of the values of ``axes``, each NAME=VALUE,VALUE... .

    Args:
        recipe: what applies where no axis is named.
        task: what is trained on.

    Raises:
        ValueError: an axis is not one of the recipe's fields or weight_bits, is given twice, or a
            value is not valid, or has no effect.
    """
    found: dict[str, list[Any]] = {}
    for axis in axes:
        name, equals, text = axis.partition("=")
        if not equals or not text:
            raise ValueError(f"{axis!r} is no axis of a sweep: expected NAME=VALUE,VALUE")
        if name in found:
            raise ValueError(f"{name} is given twice: leave one out")
        found[name] = list(dict.fromkeys(_values(name, text)))
    points = []
    for combination in itertools.product(*found.values()):
        values = dict(zip(found, combination, strict=True))
        bits = Tuning(weight_bits=values.get(BITS, TRAINED_BITS)).weight_bits
        changed = {name: value for name, value in values.items() if name != BITS}
        chosen = replace(recipe, **changed)
        chosen.check_effect(changed, task)
        points.append(Setting(values, chosen, bits))
    return points


def _values(name: str, text: str) -> list[Any]:
    choices = {choice.name: choice for choice in fields(Recipe)}
    choices[BITS] = Tuning.__dataclass_fields__[BITS]
    if name not in choices or name == "cell":
        names = ", ".join(sorted(choices.keys() - {"cell"}))
        raise ValueError(f"{name!r} cannot be swept: use one of {names}")
    convert = kind(choices[name])
    try:
        return [convert(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"{name}={text}: expected {'whole ' * (convert is int)}numbers, separated by commas"
        ) from None


def train(
    points: Sequence[Setting],
    task: Task,
    data: Path | None,
    out: Path,
    pool: Executor,
    report: Callable[[Models, int], None],
) -> Models:
    """Train all points whose model file is not in ``out`` yet; the models by the points' titles.

    Args:
        data: the files of the task, if it reads any; workers need it at the same path.
        report: called after each training with all models so far, by name of the file, and with
            how many trainings there are.

    Raises:
        ValueError: ``out`` has a model of other settings.
    """
    from golden.training.command import train_options

    reading = ["--data", str(data.resolve())] if data else []
    first = {point.trained: replace(point, bits=TRAINED_BITS) for point in points}
    tunings = {point.name: point for point in points if point.name != point.trained}
    done: Models = {}
    running: dict[Future[bytes], str] = {}

    def path(name: str) -> Path:
        return out / f"{name}.safetensors"

    wanted = first | tunings
    kept = {name: _kept(path(name), p) for name, p in wanted.items() if path(name).exists()}

    def start(name: str, words: list[str], base: Path | None = None) -> None:
        given = (base.name, base.read_bytes()) if base else None
        running[pool.submit(trained, [*words, *reading], given, os.getcwd())] = name

    def finish(name: str, found: ModelFile | TrainingFailed) -> None:
        done[name] = found
        for tuned in [point for point in tunings.values() if point.trained == name]:
            if isinstance(found, TrainingFailed):
                finish(tuned.name, found)
            elif tuned.name in kept:
                finish(tuned.name, kept[tuned.name])
            else:
                bits, seed = str(tuned.bits), str(tuned.recipe.seed)
                words = ["tune", found.path.name, "--weight-bits", bits, "--seed", seed]
                start(tuned.name, words, found.path)
        report(done, len(wanted))

    for name, point in first.items():
        if name in kept:
            finish(name, kept[name])
        else:
            start(name, ["train", task.name, *train_options(task, point.recipe)])
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            name = running.pop(future)
            try:
                output.write(path(name), future.result())
                finish(name, load(path(name)))
            except TrainingFailed as failure:
                finish(name, failure)
    return {point.title: done[point.name] for point in points}


def trained(words: list[str], given: tuple[str, bytes] | None, folder: str) -> bytes:
    """The model file that ``egru words`` makes in ``folder``, on one thread.

    Args:
        given: name and content of the model file that it reads, if any; ``words`` has the name.

    Raises:
        TrainingFailed: it made none.
    """
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out" / "model.safetensors"
        if given:
            base = Path(place) / given[0]
            base.write_bytes(given[1])
            words = [str(base) if word == given[0] else word for word in words]
        done = subprocess.run(
            [sys.executable, "-m", "egru_cli", *words, "--out", str(out)],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            *_, last = ("it gave no reason", *done.stderr.strip().splitlines())
            raise TrainingFailed(last.removeprefix("error: "))
        return out.read_bytes()


def _kept(path: Path, point: Setting) -> ModelFile:
    """The model of ``point`` that an earlier sweep has left at ``path``."""
    file = load(path)
    first = file.config.get("before", file.config).get("training", {})
    recipe = {name: value for name, value in first.items() if name != "command"}
    bits = file.integer and file.integer.weight_bits
    if (recipe, bits) != (asdict(point.recipe), point.bits):
        raise ValueError(f"{path} was trained with other settings: name another folder with --out")
    return file
