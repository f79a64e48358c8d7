"""Checks of arrays of raw integers."""

import numpy as np


def integers(name: str, value, *dimensions: str, maker: str = "golden.quantize") -> np.ndarray:
    """A read-only int64 copy of ``value``, which must be an integer array of that many axes, as
    ``maker`` makes it."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.ndim != len(dimensions):
        expected = "x".join(dimensions)
        raise ValueError(
            f"{name} must be a {expected} array of integers, not {array.dtype} of {array.shape}: "
            f"make it with {maker}"
        )
    if array.max(initial=0) > np.iinfo(np.int64).max:
        raise ValueError(f"{name} must be signed 64-bit integers, not {array.max()}")
    array = array.astype(np.int64)
    array.setflags(write=False)
    return array


def check_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, not {array.shape}")


def check_range(name: str, array: np.ndarray, low: int, high: int) -> None:
    outside = array[(array < low) | (array > high)]
    if outside.size:
        raise ValueError(f"{name} must lie in {low} ... {high}, not {outside[0]}")
