"""What networks are trained on. Plain numpy: the simulator reads test sequences from here."""

from dataclasses import fields, replace
from typing import Any

from golden.tasks.base import DataError, FileTask, Split, Task
from golden.tasks.delay_copy import DelayCopy
from golden.tasks.digits import SpokenDigits
from golden.tasks.event_camera import DvsGesture, SpikingDigits
from golden.tasks.images import SequentialMnist
from golden.tasks.mnist1d import Mnist1D
from golden.tasks.text import CharacterModel, WordModel

__all__ = ["TASKS", "DataError", "FileTask", "Split", "Task", "configure"]

# With their default options; add a task by listing it.
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
    )
}


def configure(name: Any, **options: Any) -> Task:
    """The task of that name with options of its own; those that are None keep their default.

    Raises:
        ValueError: there is no such task, or it has no such option.
    """
    if name not in TASKS:
        raise ValueError(f"{name!r} is not one of: {', '.join(TASKS)}")
    given = {option: value for option, value in options.items() if value is not None}
    known = {field.name for field in fields(TASKS[name])}
    if unknown := sorted(given.keys() - known):
        raise ValueError(f"{name} takes no --{unknown[0]}")
    return replace(TASKS[name], **given)
