"""A user's own sequences with their targets: arrays in a .npz file, or a table in a .csv file."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.tasks.base import DataError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Sequences:
    """N labelled sequences of T steps.

    Attributes:
        inputs: (N, T, C) float32, all finite, or symbols (N, T) int64.
        targets: classes (N,) or (N, T) int64, or real values (N, K) or (N, T, K) float32.
        split: (N,) of :data:`PARTS`, if the file says what each sequence is for.
        features: names of the C features, for messages; empty for symbols.
    """

    inputs: np.ndarray
    targets: np.ndarray
    split: np.ndarray | None
    features: tuple[str, ...]


def read(path: Path) -> Sequences:
    """The sequences in a file.

    Raises:
        DataError: the file is damaged, or does not hold what it should; one sentence, with the
            place in the file.
    """
    readers: dict[str, Callable[[Path], Sequences]] = {".npz": _archive, ".csv": _table}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: expected a file named *.npz or *.csv")
    found = readers[path.suffix.lower()](path)
    _check_classes(path, found.targets)
    _check_split(path, found)
    return found


def _archive(path: Path) -> Sequences:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
    except MemoryError:
        raise
    except Exception:  # numpy and zipfile raise many kinds
        raise DataError(
            f"{path} is not a .npz file of numbers and texts written by numpy, or it is damaged"
        ) from None
    for name in ("inputs", "targets"):
        if name not in arrays:
            held = ", ".join(arrays) or "nothing"
            raise DataError(f"{path} has no array named {name!r}: it holds {held}")
    if unknown := sorted(arrays.keys() - {"inputs", "targets", "split"}):
        raise DataError(
            f"{path} has an array named {unknown[0]!r}: expected inputs, targets and perhaps split"
        )
    inputs, targets = arrays["inputs"], arrays["targets"]
    symbols = inputs.dtype.kind in "iu" and inputs.ndim == 2
    if inputs.dtype.kind not in "fiub" or not (symbols or inputs.ndim == 3) or 0 in inputs.shape:
        raise DataError(
            f"{path}: inputs must be numbers (N, T, C), or whole numbers (N, T) for symbols, "
            f"not {inputs.dtype} of shape {inputs.shape}"
        )
    count, steps = inputs.shape[:2]
    axes = 0 if targets.dtype.kind in "iu" else 1
    if targets.dtype.kind not in "fiu" or targets.shape not in (
        (count, *targets.shape[targets.ndim - axes :]),
        (count, steps, *targets.shape[targets.ndim - axes :]),
    ):
        raise DataError(
            f"{path}: targets must be whole numbers ({count},) or ({count}, {steps}) for classes, "
            f"or real numbers ({count}, K) or ({count}, {steps}, K), not {targets.dtype} of shape "
            f"{targets.shape}"
        )
    if symbols:
        if inputs.min() < 0:
            raise DataError(f"{path}: symbols must be 0 or more, not {inputs.min()}")
        return Sequences(inputs.astype(np.int64), _typed(targets), arrays.get("split"), ())
    with np.errstate(over="ignore"):  # to infinity, which is refused
        inputs, targets = inputs.astype(np.float32), _typed(targets)
    _check_finite(path, "inputs", inputs)
    if targets.dtype.kind == "f":
        _check_finite(path, "targets", targets)
    names = tuple(f"feature {index}" for index in range(inputs.shape[2]))
    return Sequences(inputs, targets, arrays.get("split"), names)


def _typed(targets: np.ndarray) -> np.ndarray:
    return targets.astype(np.float32 if targets.dtype.kind == "f" else np.int64)


def _check_finite(path: Path, name: str, array: np.ndarray) -> None:
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        place = ", ".join(map(str, wrong[0]))
        raise DataError(
            f"{path}: {name}[{place}] is {array[tuple(wrong[0])]}: expected finite numbers in "
            f"float32"
        )


def _check_classes(path: Path, targets: np.ndarray) -> None:
    if targets.dtype.kind == "f":
        return
    if targets.min() < -1:
        place = ", ".join(map(str, np.argwhere(targets < -1)[0]))
        raise DataError(
            f"{path}: the target of {place} is {targets.min()}: expected classes from 0, or -1 "
            f"where none is scored"
        )
    if len(np.unique(targets[targets >= 0])) < 2:
        raise DataError(f"{path} has targets of fewer than two classes: there is nothing to learn")


def _check_split(path: Path, found: Sequences) -> None:
    if found.split is None:
        return
    count, split = len(found.inputs), found.split
    if split.dtype.kind != "U" or split.shape != (count,):
        raise DataError(
            f"{path}: split must be {count} texts, each one of {', '.join(PARTS)}, not "
            f"{split.dtype} of shape {split.shape}"
        )
    for sequence, part in enumerate(split):
        if part not in PARTS:
            raise DataError(
                f"{path}: the split of sequence {sequence} is {str(part)!r}: expected "
                f"{', '.join(PARTS)}"
            )
    for part in ("train", "test"):
        if part not in split:
            raise DataError(f"{path}: split has no sequence for {part}")


def _table(path: Path) -> Sequences:
    """The columns sequence, step, the features, target or several named target..., and perhaps
    split. The rows of a sequence are its steps in order."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(number, cells) for number, cells in enumerate(csv.reader(file), 1) if cells]
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"{path} is not a text file in UTF-8") from None
    if len(rows) < 2:
        raise DataError(f"{path} has no rows below its titles")
    titles = [title.strip() for title in rows[0][1]]
    targets = [title for title in titles if title.startswith("target")]
    features = [t for t in titles if t not in ("sequence", "step", "split", *targets)]
    if len(set(titles)) < len(titles) or not targets or not features or "step" not in titles or (
        "sequence" not in titles
    ):  # fmt: skip
        raise DataError(
            f"{path}, line 1: expected the titles sequence, step, one or more features, target "
            f"(or several that begin with it) and perhaps split, each once, not {', '.join(titles)}"
        )
    sequences: dict[str, list[int]] = {}
    table: list[dict[str, str]] = []
    for number, cells in rows[1:]:
        if len(cells) != len(titles):
            raise DataError(
                f"{path}, line {number}: expected {len(titles)} cells, as in the titles, not "
                f"{len(cells)}"
            )
        row = dict(zip(titles, map(str.strip, cells), strict=True))
        steps = sequences.setdefault(row["sequence"], [])
        step = _number(path, number, "step", row["step"])
        if steps and (step != float(table[steps[-1]]["step"]) + 1 or steps[-1] != len(table) - 1):
            raise DataError(
                f"{path}, line {number}: step {row['step']} of sequence {row['sequence']} must "
                f"follow in the line below its step {table[steps[-1]]['step']}, each step once"
            )
        for name in (*features, *targets):
            _number(path, number, name, row[name])
        steps.append(len(table))
        table.append(row)
    shortest, longest = (f(sequences, key=lambda s: len(sequences[s])) for f in (min, max))
    if len(sequences[shortest]) != len(sequences[longest]):
        raise DataError(
            f"{path}: sequence {shortest} has {len(sequences[shortest])} steps, sequence {longest} "
            f"has {len(sequences[longest])}: sequences must have the same number of steps"
        )

    def column(names: list[str]) -> np.ndarray:
        values = np.array([[float(row[name]) for name in names] for row in table])
        return values.reshape(len(sequences), -1, len(names))

    of_steps = column(targets)
    whole = all(row[targets[0]].lstrip("-").isdecimal() for row in table) and len(targets) == 1
    typed = of_steps[..., 0].astype(np.int64) if whole else of_steps.astype(np.float32)
    per_sequence = (typed == typed[:, :1]).all()
    split = None
    if "split" in titles:
        split = np.array([table[steps[0]]["split"] for steps in sequences.values()])
    inputs = column(features).astype(np.float32)
    return Sequences(inputs, typed[:, 0] if per_sequence else typed, split, tuple(features))


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        value = float(np.float32(cell))
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(
            f"{path}, line {line}, column {column}: expected a finite number, not {cell!r}"
        )
    return value
