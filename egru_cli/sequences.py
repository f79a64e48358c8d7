"""Sequences of real numbers from a user's file."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from golden.lengths import blank, checked
from golden.tasks.data_files import read_table

KEY = "inputs"
"""Name of the sequences in a .npz file that holds several arrays."""

LENGTHS = "lengths"
"""Name of their lengths there, if they differ."""


class Sequences(NamedTuple):
    """N sequences of up to T steps.

    Attributes:
        inputs: (N, T, C) float32, all finite; 0 after the end of a shorter sequence.
        lengths: (N,), the steps of each sequence; None if all have T.
    """

    inputs: np.ndarray
    lengths: np.ndarray | None


def read(path: Path, features: int) -> Sequences:
    """Read sequences for a model of ``features`` inputs, C.

    A .npy file holds an array (N, T, C), (T, C) or, if C is 1, (T,); a .npz file the same as
    its only array or under the name ``inputs``, and perhaps ``lengths`` (N,). A .csv file holds one
    sequence, a line of C numbers per step, with an optional header; or several, with the titles
    ``sequence`` and ``step``, see :func:`golden.tasks.data_files.read_table`.

    Raises:
        ValueError: the file holds anything else; one sentence.
        OSError: it cannot be read.
    """
    readers = {".npy": _numpy, ".npz": _archive, ".csv": _text}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path}: expected a file named *.npy, *.npz or *.csv")
    array, lengths = readers[path.suffix.lower()](path)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path} holds values of type {array.dtype}: expected real numbers")
    if array.size == 0:
        raise ValueError(f"{path} is empty: its shape is {array.shape}")
    with np.errstate(over="ignore"):  # to infinity, which is refused
        inputs = _shaped(path, array, features).astype(np.float32)
    if lengths is not None:
        try:
            lengths = checked(lengths, *inputs.shape[:2])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        inputs = blank(inputs, lengths)
    return Sequences(_finite(path, inputs), lengths)


def _shaped(path: Path, array: np.ndarray, features: int) -> np.ndarray:
    """``array`` as (N, T, C)."""
    shape = array.shape
    if array.ndim == 1 and features == 1:
        array = array[:, np.newaxis]
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3 or array.shape[-1] != features:
        single = ", or (T,)" if features == 1 else ""
        raise ValueError(
            f"{path} has the shape {shape}: the model expects (N, T, {features}), N sequences of "
            f"T steps, or (T, {features}){single}"
        )
    return array


def _finite(path: Path, array: np.ndarray) -> np.ndarray:
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        sequence, step, feature = wrong[0]
        raise ValueError(
            f"{path} has {array[tuple(wrong[0])]} at sequence {sequence}, step {step}, "
            f"feature {feature}: expected finite numbers in float32"
        )
    return array


def _numpy(path: Path) -> tuple[np.ndarray, None]:
    with _opened(path, "an array") as file:
        array = np.load(file, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is an archive of arrays: name it *.npz")
    return array, None


def _archive(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    with (
        _opened(path, "an archive of arrays") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        names = [name for name in arrays if name != LENGTHS]
        name = names[0] if len(names) == 1 else KEY
        if name in names:  # bytes if it is no array
            lengths = np.asarray(arrays[LENGTHS]) if LENGTHS in arrays else None
            return np.asarray(arrays[name]), lengths
    held = ", ".join(names) or "no arrays"
    raise ValueError(f"{path} has no array named {KEY!r}: it holds {held}")


@contextmanager
def _opened(path: Path, what: str) -> Iterator[BinaryIO]:
    """The file for numpy to read; of whatever kind its errors are, they become a ValueError."""
    with path.open("rb") as file:
        try:
            yield file
        except MemoryError:
            raise
        except Exception as error:  # numpy and zipfile raise many kinds
            if "pickle" in str(error) and "Object arrays" in str(error):
                reason = "holds Python objects: expected an array of real numbers"
            else:
                reason = f"is not {what} written by numpy, or it is damaged"
            raise ValueError(f"{path} {reason}") from None


def _text(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    rows: list[list[float]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, cells in enumerate(csv.reader(file), 1):
                if number == 1 and {"sequence", "step"} <= {*map(str.strip, cells)}:
                    table = read_table(path, labelled=False)
                    return table.columns(table.features), table.lengths
                if not cells or (number == 1 and not any(map(_is_number, cells))):
                    continue  # an empty line, or titles
                rows.append(_numbers(f"{path}, line {number}", cells))
                if len(rows[-1]) != len(rows[0]):
                    raise ValueError(
                        f"{path}, line {number}: expected {len(rows[0])} numbers, as above, "
                        f"not {len(rows[-1])}"
                    )
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"{path} is not a text file in UTF-8") from None
    if not rows:
        raise ValueError(f"{path} has no line of numbers, separated by commas")
    return np.array(rows), None


def _numbers(place: str, cells: list[str]) -> list[float]:
    for cell in cells:
        if not _is_number(cell):
            raise ValueError(f"{place}: expected a number, not {cell!r}")
    return [float(cell) for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
