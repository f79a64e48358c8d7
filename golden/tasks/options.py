"""A task's options: its dataclass fields, given in Python, in a model file or as text."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from golden.tasks.base import Task

NO_OPTIONS = ("data", "scaling", "scaling_of_targets", "sequences")
"""Fields with a place of their own in commands and model files."""

KINDS = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}


def options(task: Task) -> dict[str, Any]:
    """The values of a task's options, without the path of its data, which differs by machine."""
    return {name: getattr(task, name) for name in _types(task)}


def describe(task: Task) -> str:
    """A task's options and their values in words; empty if it has none."""
    return ", ".join(f"{name}={_values(kind)}" for name, kind in _types(task).items())


def parse(words: Sequence[str]) -> dict[str, str]:
    """Options by name, from words of the form NAME=VALUE.

    Raises:
        ValueError: a word has another form, or two have the same name.
    """
    parsed: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"an option of a task has the form NAME=VALUE, not {name!r}")
        if name in parsed:
            raise ValueError(f"the option {name} is given twice: leave out one of the two")
        parsed[name] = value
    return parsed


def with_options(task: Task, data: Path | None, given: dict[str, Any]) -> Task:
    """The task with other options and, unless ``data`` is None, other data.

    Raises:
        ValueError: the task has no such option, or the value is not valid.
    """
    types = _types(task)
    if unknown := sorted(given.keys() - types):
        known = f"its options are {describe(task)}" if types else "it has no options"
        raise ValueError(f"{task.name} has no option {unknown[0]!r}: {known}")
    changes = {name: _convert(task, name, types[name], value) for name, value in given.items()}
    if data is not None:
        if not any(field.name == "data" for field in fields(task)):
            raise ValueError(f"{task.name} reads no files: leave out --data")
        changes["data"] = data
    return replace(task, **changes)


def check_types(task: Task) -> None:
    """Rejects a task with a field that cannot be an option.

    Raises:
        ValueError: naming the field.
    """
    for name, kind in _types(task).items():
        if kind not in KINDS and get_origin(kind) is not Literal:
            raise ValueError(
                f"the field {name} of {task.name} is of type {getattr(kind, '__name__', kind)}, "
                f"but options are of type bool, int, float, str or Literal: remove its "
                f"annotation if it is not one"
            )


def _types(task: Task) -> dict[str, Any]:
    """The types of a task's options by name."""
    hints = get_type_hints(type(task))
    return {field.name: hints[field.name] for field in fields(task) if field.name not in NO_OPTIONS}


def _values(kind: Any) -> str:
    """The possible values of an option, in words."""
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    return kind.__name__.upper()


def _convert(task: Task, name: str, kind: Any, value: Any) -> Any:
    """``value``, perhaps as text, as a value of the option's type."""
    if get_origin(kind) is Literal:
        texts = {str(choice): choice for choice in get_args(kind)}
    else:
        texts = {"true": True, "false": False, "True": True, "False": False} if kind is bool else {}
    expected = KINDS.get(kind) or " or ".join(texts)
    try:
        if texts:
            return texts[str(value)]
        if kind is not float and not isinstance(value, (kind, str)):
            raise TypeError
        converted = kind(value)
        if kind is float and not math.isfinite(converted):
            raise ValueError
        return converted
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"the option {name} of {task.name} must be {expected}, not {value!r}"
        ) from None
