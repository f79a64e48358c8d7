"""Sequences of real numbers from a user's file."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

KEY = "inputs"
"""Name of the sequences in a .npz file that holds several arrays."""


def read(path: Path, features: int) -> np.ndarray:
    """Read sequences for a model of ``features`` inputs, C: float32 (N, T, C), all finite.

    A .npy file holds an array (N, T, C), (T, C) or, if C is 1, (T,); a .npz file the same as
    its only array or under the name ``inputs``. A .csv file holds one sequence, a line of C
    numbers per step, with an optional header.

    Raises:
        ValueError: the file holds anything else; one sentence.
        OSError: it cannot be read.
    """
    readers = {".npy": _numpy, ".npz": _archive, ".csv": _text}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path}: expected a file named *.npy, *.npz or *.csv")
    array = readers[path.suffix.lower()](path)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path} holds values of type {array.dtype}: expected real numbers")
    if array.size == 0:
        raise ValueError(f"{path} is empty: its shape is {array.shape}")
    with np.errstate(over="ignore"):  # to infinity, which is refused
        return _finite(path, _shaped(path, array, features).astype(np.float32))


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


def _numpy(path: Path) -> np.ndarray:
    with _opened(path, "an array") as file:
        array = np.load(file, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is an archive of arrays: name it *.npz")
    return array


def _archive(path: Path) -> np.ndarray:
    with (
        _opened(path, "an archive of arrays") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        names = list(arrays)
        name = names[0] if len(names) == 1 else KEY
        if name in names:
            return np.asarray(arrays[name])  # bytes if it is no array
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


def _text(path: Path) -> np.ndarray:
    rows: list[list[float]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, cells in enumerate(csv.reader(file), 1):
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
    return np.array(rows)


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
