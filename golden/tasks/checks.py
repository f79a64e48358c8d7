"""Checks that a task's sequences are as :class:`golden.tasks.Split` describes."""

from typing import Any

import numpy as np

from golden.readouts import readout_kind
from golden.tasks.base import DataError, Split, Task


def check(task: Task, validation: bool = False) -> None:
    """Check that a task's data exist and have valid shapes, types and ranges.

    Args:
        validation: check the data for early stopping as well.

    Raises:
        DataError: data are missing.
        ValueError: an array is not valid; the message names it.
    """
    task.check()
    try:
        axes = 2 if readout_kind(task.readout).per_step else 1
    except ValueError as error:
        raise ValueError(f"{task.name}: {error}") from None
    if (task.classes is None) == (task.values is None):
        raise ValueError(
            f"{task.name} must define either classes, the number of classes, or values, the number "
            f"of real values per target"
        )
    targets = "classes" if task.values is None else "values"
    for name in ("input_size", targets):
        if not isinstance(value := getattr(task, name), int) or value < 1:
            raise ValueError(f"{name} of {task.name} must be a positive integer, not {value!r}")
    held_out = ("train", "validation") if validation else ()
    for part in ("everything", *held_out, "test"):
        where = f"{task.name}: {part}()"
        try:
            split = getattr(task, part)()
        except DataError:
            raise
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if not isinstance(split, Split) or not all(isinstance(a, np.ndarray) for a in split):
            raise ValueError(f"{where} must return a Split of two NumPy arrays")
        _check_inputs(f"{where}.inputs", split.inputs, task.input_size)
        shape = split.inputs.shape[:axes]
        task.objective.check(f"{where}.targets", split.targets, shape, task.outputs)
        if task.stream and split.lengths is not None:
            raise ValueError(f"{where} is a stream, which has no lengths: leave them out")
        if task.stream and len(split.inputs) != 1:
            raise ValueError(f"{where} must have one sequence, a stream, not {len(split.inputs)}")


def _check_inputs(where: str, inputs: np.ndarray, size: int) -> None:
    symbols = inputs.dtype == np.int64 and inputs.ndim == 2
    if not symbols and (inputs.dtype != np.float32 or inputs.ndim != 3 or inputs.shape[2] != size):
        raise ValueError(
            f"{where} must be float32 of shape (N, T, {size}), or int64 of shape (N, T), "
            f"not {inputs.dtype} of shape {inputs.shape}"
        )
    if 0 in inputs.shape:
        raise ValueError(f"{where} must not be empty: its shape is {inputs.shape}")
    if symbols and not 0 <= inputs.min() <= inputs.max() < size:
        raise ValueError(
            f"{where} must be symbols 0 to {size - 1}, not {inputs.min()} to {inputs.max()}"
        )
    if not symbols and not np.isfinite(inputs).all():
        raise ValueError(f"{where} must be finite: it has values that are NaN or infinite")


def check_model(task: Task, config: dict[str, Any], network_config: dict[str, Any]) -> None:
    """Check that a task's data are of the kind that a model was trained on.

    Args:
        config, network_config: the model's, see :class:`golden.ModelFile`.

    Raises:
        DataError: data are missing.
        ValueError: they have other symbols or targets, or another number of features.
    """
    where = getattr(task, "data", None) or task.name
    if config.get("vocabulary") not in (None, task.vocabulary):
        raise ValueError(
            f"{where}: the text has other symbols than the text that the model was trained on: "
            f"pass that text with --data"
        )
    expected = network_config.get("input_size", network_config.get("words"))
    if task.input_size != expected:
        raise ValueError(
            f"{where}: the data have {task.input_size} features or symbols a step where the model "
            f"has {expected}: pass the data and the options it was trained with"
        )
    if config.get("targets", "classes") != task.objective.name:
        raise ValueError(
            f"{where}: the targets are {task.objective.name} where the model was trained on "
            f"{config.get('targets', 'classes')}: pass the data it was trained with"
        )
    outputs = network_config.get("outputs", network_config.get("words"))
    if task.outputs != outputs:
        raise ValueError(
            f"{where}: the data have {task.outputs} {task.objective.name} where the model has "
            f"{outputs} outputs: pass the data and the options it was trained with"
        )
