"""The command that repeats a training, recorded in its model file."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from golden.recipe import Recipe, Tuning
from golden.tasks import Task
from golden.tasks.options import options
from golden.training.processes import processes


def train_command(task: Task, recipe: Recipe) -> str:
    """The shortest ``egru train`` that gives the same model."""
    words = ["train", task.name]
    if data := getattr(task, "data", None):
        words += ["--data", Path(data).name]
    return _command(*words, *train_options(task, recipe), *_threads())


def train_options(task: Task, recipe: Recipe) -> list[str]:
    """The options of ``egru train`` for the task's options and ``recipe``, without defaults."""
    words = []
    usual = options(type(task)())
    for name, value in options(task).items():
        words += ["--option", f"{name}={value}"] if value != usual[name] else []
    # The other defaults depend on the chosen cell; the default cell itself does not.
    defaults = asdict(task.recipe_for(recipe.cell)) | {"cell": task.recipe.cell}
    chosen = {n: v for n, v in asdict(recipe).items() if not recipe.unmet(n, task)}
    return words + _changed(chosen, defaults)


def tune_command(model: Path, tuning: Tuning) -> str:
    """The shortest ``egru tune`` that gives the same model."""
    changed = _changed(asdict(tuning), asdict(Tuning()))
    return _command("tune", model.name, *changed, *_threads())


def _changed(values: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    """The options whose value is not the default."""
    return [
        word
        for name, value in values.items()
        if value != defaults[name]
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]


def _threads() -> list[str]:
    """Sums, and so the model, depend on the number of threads."""
    count = torch.get_num_threads()
    return ["--threads", str(count)] if count > 1 else []


def _command(*words: str) -> str:
    count = processes()
    start = ["egru"] if count == 1 else f"torchrun --nproc-per-node {count} -m egru_cli".split()
    return shlex.join([*start, *words])
