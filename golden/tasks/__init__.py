"""What networks are trained on, and by which recipe.

This package needs NumPy alone, as the simulator reads test sequences from it.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from golden.recipe import Recipe
from golden.scaling import Scaling
from golden.tasks import own
from golden.tasks.base import DataError, FileTask, Split, Task
from golden.tasks.delay_copy import DelayCopy
from golden.tasks.digits import SpokenDigits
from golden.tasks.event_camera import DvsGesture, SaccadeDigits, SpikingCommands, SpikingDigits
from golden.tasks.images import SequentialMnist
from golden.tasks.mnist1d import Mnist1D
from golden.tasks.options import with_options
from golden.tasks.own_data import OwnData
from golden.tasks.samples import of_samples
from golden.tasks.text import CharacterModel, WordModel

__all__ = [
    "TASKS", "DataError", "FileTask", "Recipe", "Split", "Task", "configure", "find", "of_model",
    "of_samples",
]  # fmt: skip

# The tasks of this package with their default options; list a new one here.
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Mnist1D(),
        DelayCopy(),
        SpokenDigits(),
        SequentialMnist(),
        CharacterModel(),
        WordModel(),
        DvsGesture(),
        SpikingDigits(),
        SpikingCommands(),
        SaccadeDigits(),
        OwnData(),
    )
}


def find(name: str, beside: Path | None = None) -> Task:
    """A task of this package by its name, or an own task as ``FILE.py:CLASS``.

    Args:
        beside: a model file; FILE is looked for in the current folder and then beside it.

    Raises:
        ValueError: there is no such task.
    """
    file, colon, class_name = name.rpartition(":")
    if not colon:
        if name not in TASKS:
            raise ValueError(
                f"there is no task {name!r}: use one of {', '.join(TASKS)}, "
                f"or your own as FILE.py:CLASS"
            )
        return TASKS[name]
    places = [Path(file)] + ([] if beside is None else [beside.parent / file])
    for path in places:
        if path.is_file():
            return own.load(name, path, class_name)
    if beside is None:
        raise ValueError(f"there is no file {file!r} to load the task {class_name} from")
    raise ValueError(
        f"the model's task {class_name} is defined in {file}, which is neither in the current "
        f"folder nor beside the model: copy it there"
    )


def configure(name: str, data: Path | None = None, **options: Any) -> Task:
    """The task of that name (see :func:`find`) with its data at ``data`` and these options.

    Raises:
        ValueError: there is no such task, it has no such option, or the option no such value.
    """
    return with_options(find(name), data, options)


def of_model(path: Path, config: dict[str, Any], data: Path | None = None) -> Task:
    """The task that the model at ``path`` was trained on, as its ``config`` records it.

    Raises:
        ValueError: it records none, or one that cannot be found.
    """
    if "task" not in config:
        raise ValueError(f"{path} does not record the task it was trained on")
    try:
        task = with_options(find(config["task"], path), data, config.get("options", {}))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(task, OwnData):
        return task
    inputs, targets = (
        Scaling.from_json(values) if (values := config.get(name)) else None
        for name in ("scaling", "target_scaling")
    )
    return replace(task, scaling=inputs, scaling_of_targets=targets)
