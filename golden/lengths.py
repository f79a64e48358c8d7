"""Sequences of different lengths, padded to arrays (N, T, ...). Needs only NumPy.

The steps of a sequence after its length are padding, which has no effect, whatever it holds.
"""

from collections.abc import Iterator

import numpy as np


def checked(lengths, count: int, steps: int) -> np.ndarray:
    """The lengths (N,), int64, of ``count`` sequences of up to ``steps`` steps; None: all have as
    many.

    Raises:
        ValueError: there is not one for each sequence, or one is not in 1 to ``steps``.
    """
    if lengths is None:
        return np.full(count, steps)
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "iu" or lengths.shape != (count,):
        raise ValueError(
            f"lengths must be whole numbers of shape ({count},), one for each sequence, not "
            f"{lengths.dtype} of shape {lengths.shape}"
        )
    wrong = np.flatnonzero((lengths < 1) | (lengths > steps))
    if len(wrong):
        raise ValueError(
            f"the length of sequence {wrong[0]} is {lengths[wrong[0]]}: expected 1 to {steps}, the "
            f"steps that there are"
        )
    return lengths.astype(np.int64)


def real_steps(lengths: np.ndarray, steps: int) -> np.ndarray:
    """(N, T), which steps are no padding."""
    return np.arange(steps) < lengths[:, None]


def blank(array: np.ndarray, lengths: np.ndarray, value: float = 0) -> np.ndarray:
    """A copy of ``array`` (N, T, ...) whose padding is ``value``."""
    blanked = np.array(array)
    blanked[~real_steps(lengths, array.shape[1])] = value
    return blanked


def by_length(lengths: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each length, with the indices of the sequences that have it."""
    for length in np.unique(lengths).tolist():
        yield length, np.flatnonzero(lengths == length)
