"""Sequences that a program has in memory, or a dataset of PyTorch, as a task."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from golden.tasks.base import DataError
from golden.tasks.data_files import Sequences, checked_sequences, from_arrays
from golden.tasks.own_data import OwnData


@dataclass(frozen=True)
class Samples(OwnData):
    """As :class:`OwnData`, with sequences from :func:`of_samples` instead of a file."""

    sequences: Sequences | None = None

    def check(self) -> None:
        """No file is read."""

    @cached_property
    def _sequences(self) -> Sequences:
        assert self.sequences is not None
        return self.sequences


def of_samples(train: Iterable[Any], test: Iterable[Any], name: str = "samples") -> Samples:
    """A task to train on, from anything that gives pairs (inputs, target).

    Inputs are real numbers (T, C), or whole numbers (T,) for symbols; T may differ. A target is a
    class, whole numbers (T,) for a class per step, or real numbers (K,) or (T, K). All may be
    tensors. The models are those of the task "own-data": ``egru eval`` and others read such data
    from a file.

    Args:
        train, test: a ``torch.utils.data.Dataset``, or any other iterable that ends.
        name: what messages call the data.

    Raises:
        DataError: there are no samples, or they are not such pairs, or differ in kind.
    """
    parts = {"train": _pairs(train, f"{name}, train"), "test": _pairs(test, f"{name}, test")}
    pairs = [pair for part in parts.values() for pair in part]
    inputs, targets = (list(column) for column in zip(*pairs, strict=True))
    lengths = np.array([x.shape[0] if x.ndim else 0 for x in inputs])
    arrays = {
        "inputs": _padded(inputs, f"{name}: inputs"),
        "targets": _padded(targets, f"{name}: targets"),
        "split": np.repeat(list(parts), [len(part) for part in parts.values()]),
    }
    if (lengths != lengths[0]).any():
        arrays["lengths"] = lengths
    found = checked_sequences(Path(name), from_arrays(Path(name), arrays))
    return Samples(data=Path(name), sequences=found)


def _pairs(given: Any, where: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The samples. A dataset of PyTorch need not be iterable."""
    iterable = given if hasattr(given, "__iter__") else map(given.__getitem__, range(len(given)))
    pairs = []
    for number, sample in enumerate(iterable):
        try:
            inputs, target = sample
        except (TypeError, ValueError):
            raise DataError(
                f"{where}, sample {number}: expected a pair of inputs and target, not "
                f"{type(sample).__name__}"
            ) from None
        pairs.append((np.asarray(inputs), np.asarray(target)))
    if not pairs:
        raise DataError(f"{where}: there are no samples")
    return pairs


def _padded(arrays: list[np.ndarray], what: str) -> np.ndarray:
    """(N, ...), of which only the first axis may differ; 0 after the end of a shorter one."""
    first = arrays[0]
    for number, array in enumerate(arrays):
        if array.ndim != first.ndim or array.shape[1:] != first.shape[1:]:
            raise DataError(
                f"{what} of sample {number} have the shape {array.shape}, those of sample 0 "
                f"{first.shape}: only the number of steps may differ"
            )
    if not first.ndim:
        return np.stack(arrays)
    longest = max(len(array) for array in arrays)
    whole = np.zeros((len(arrays), longest, *first.shape[1:]), np.result_type(*arrays))
    for row, array in zip(whole, arrays, strict=True):
        row[: len(array)] = array
    return whole
