"""A user's own sequences with their targets: arrays in a .npz file, or a table in a .csv file."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.lengths import blank, checked, real_steps
from golden.tasks.base import DataError, unscored

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Sequences:
    """N labelled sequences of up to T steps.

    Attributes:
        inputs: (N, T, C) float32, all finite, or symbols (N, T) int64; 0 after the end of a shorter
            sequence, where targets of steps are -1 or NaN.
        targets: classes (N,) or (N, T) int64, or real values (N, K) or (N, T, K) float32.
        split: (N,) of :data:`PARTS`, if the file says what each sequence is for.
        features: names of the C features, for messages; empty for symbols.
        lengths: (N,) int64, the steps of each sequence; None if all have T.
    """

    inputs: np.ndarray
    targets: np.ndarray
    split: np.ndarray | None
    features: tuple[str, ...]
    lengths: np.ndarray | None


def read(path: Path) -> Sequences:
    """The sequences in a file.

    Raises:
        DataError: the file is damaged, or does not hold what it should; one sentence, with the
            place in the file.
    """
    readers: dict[str, Callable[[Path], Sequences]] = {".npz": _archive, ".csv": _labelled_table}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: expected a file named *.npz or *.csv")
    return checked_sequences(path, readers[path.suffix.lower()](path))


def checked_sequences(path: Path, found: Sequences) -> Sequences:
    """``found``, if its classes and split can be trained on."""
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
    return from_arrays(path, arrays)


def from_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Sequences:
    """The sequences in ``inputs``, ``targets`` and perhaps ``split`` and ``lengths``.

    Args:
        path: what messages call the data.

    Raises:
        DataError: an array is missing, or does not hold what it should.
    """
    for name in ("inputs", "targets"):
        if name not in arrays:
            held = ", ".join(arrays) or "nothing"
            raise DataError(f"{path} has no array named {name!r}: it holds {held}")
    if unknown := sorted(arrays.keys() - {"inputs", "targets", "split", "lengths"}):
        raise DataError(
            f"{path} has an array named {unknown[0]!r}: expected inputs, targets and perhaps split "
            f"and lengths"
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
    try:
        ends = checked(arrays.get("lengths"), count, steps)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    lengths, split = ends if "lengths" in arrays else None, arrays.get("split")
    inputs = blank(inputs, ends)
    if symbols:
        if inputs.min() < 0:
            raise DataError(f"{path}: symbols must be 0 or more, not {inputs.min()}")
        inputs, targets = inputs.astype(np.int64), unscored(_typed(targets), ends, steps)
        return Sequences(inputs, targets, split, (), lengths)
    with np.errstate(over="ignore"):  # to infinity, which is refused
        inputs, targets = inputs.astype(np.float32), _typed(targets)
    _check_finite(path, "inputs", inputs, ends)
    if targets.dtype.kind == "f":
        _check_finite(path, "targets", targets, ends)
    names = tuple(f"feature {index}" for index in range(inputs.shape[2]))
    return Sequences(inputs, unscored(targets, ends, steps), split, names, lengths)


def _typed(targets: np.ndarray) -> np.ndarray:
    return targets.astype(np.float32 if targets.dtype.kind == "f" else np.int64)


def _check_finite(path: Path, name: str, array: np.ndarray, lengths: np.ndarray) -> None:
    bad = ~np.isfinite(array)
    wrong = np.argwhere(blank(bad, lengths) if array.ndim == 3 else bad)
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


def _labelled_table(path: Path) -> Sequences:
    table = read_table(path)
    rows, targets, lengths = table.rows, table.targets, table.lengths
    of_steps = table.columns(targets)
    whole = all(row[targets[0]].lstrip("-").isdecimal() for row in rows) and len(targets) == 1
    typed = of_steps[..., 0].astype(np.int64) if whole else of_steps.astype(np.float32)
    steps = typed.shape[1]
    per_sequence = (typed == typed[:, :1])[real_steps(lengths, steps)].all()
    typed = typed[:, 0] if per_sequence else unscored(typed, lengths, steps)
    split = None
    if "split" in rows[0]:
        split = np.array([rows[first]["split"] for first in np.cumsum(lengths) - lengths])
    inputs = table.columns(table.features).astype(np.float32)
    given = None if (lengths == steps).all() else lengths
    return Sequences(inputs, typed, split, tuple(table.features), given)


@dataclass(frozen=True, eq=False)
class Table:
    """A .csv file with a row per step of N sequences.

    Attributes:
        features, targets: titles of the columns that hold them.
        rows: the cells by title; the steps of a sequence follow each other.
        lengths: (N,), the steps of each sequence.
    """

    features: list[str]
    targets: list[str]
    rows: list[dict[str, str]]
    lengths: np.ndarray

    def columns(self, titles: list[str]) -> np.ndarray:
        """(N, T, K), the numbers in K columns; 0 after the end of a shorter sequence."""
        real = real_steps(self.lengths, self.lengths.max())
        columns = np.zeros((*real.shape, len(titles)))
        columns[real] = [[float(row[title]) for title in titles] for row in self.rows]
        return columns


def read_table(path: Path, labelled: bool = True) -> Table:
    """The columns sequence, step, the features, target or several named target..., and perhaps
    split. The rows of a sequence are its steps in order.

    Args:
        labelled: whether there must be targets; if not, they are not read.

    Raises:
        DataError: the file holds anything else.
    """
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
    complete = features and (targets or not labelled) and {"sequence", "step"} <= {*titles}
    if not complete or len(set(titles)) < len(titles):
        wanted = "target (or several that begin with it) and perhaps split, " if labelled else ""
        raise DataError(
            f"{path}, line 1: expected the titles sequence, step, one or more features, {wanted}"
            f"each once, not {', '.join(titles)}"
        )
    targets = targets if labelled else []
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
    return Table(features, targets, table, np.array(list(map(len, sequences.values()))))


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
