"""Random distortions of time series and images, for augmentation."""

import numpy as np


def warp_time(x: np.ndarray, rng: np.random.Generator, shift: float, stretch: float) -> np.ndarray:
    """Shift and stretch each sequence of ``x`` (N, T, C), with linear interpolation.

    Args:
        shift: largest shift in steps; the first and last values are repeated.
        stretch: largest deviation of the factor from 1.
    """
    count, steps, _ = x.shape

    def uniform(spread: float) -> np.ndarray:
        return rng.uniform(-spread, spread, (count, 1))

    centre = (steps - 1) / 2
    position = (np.arange(steps) - centre) * (1 + uniform(stretch)) + centre + uniform(shift)
    position = position.clip(0, steps - 1)
    left = np.minimum(position.astype(np.int64), steps - 2)
    part = (position - left)[..., None].astype(x.dtype)
    rows = np.arange(count)[:, None]
    return (1 - part) * x[rows, left] + part * x[rows, left + 1]


def warp_images(
    x: np.ndarray, rng: np.random.Generator, shift: float, turn: float, scale: float, shear: float
) -> np.ndarray:
    """Transform each image of ``x`` (N, height, width) about its centre, on a black background.

    Interpolation is bilinear.

    Args:
        shift: largest shift in pixels, along each axis.
        turn: largest rotation in radians.
        scale: largest deviation of the factor from 1.
        shear: largest horizontal shift from one row to the next, in pixels.
    """
    count, height, width = x.shape

    def uniform(spread: float) -> np.ndarray:
        return rng.uniform(-spread, spread, (count, 1, 1)).astype(np.float32)

    angle, factor = uniform(turn), 1 + uniform(scale)
    down = np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2
    right = np.arange(width, dtype=np.float32) - (width - 1) / 2
    cos, sin = factor * np.cos(angle), factor * np.sin(angle)
    # The position in ``x`` of each pixel of the result.
    row = cos * down - sin * right + (height - 1) / 2 + uniform(shift)
    column = sin * down + cos * right + uniform(shear) * down + (width - 1) / 2 + uniform(shift)

    # One black pixel before the image and two after it, as interpolation reads one beyond.
    padded = np.pad(x, ((0, 0), (1, 2), (1, 2)))
    row, column = row.clip(-1, height) + 1, column.clip(-1, width) + 1
    top, left = row.astype(np.int64), column.astype(np.int64)
    below, beside = (row - top).astype(x.dtype), (column - left).astype(x.dtype)
    pixels, stride = padded.ravel(), width + 3
    first = (np.arange(count)[:, None, None] * (height + 3) + top) * stride + left

    def line(start: np.ndarray) -> np.ndarray:
        return (1 - beside) * pixels[start] + beside * pixels[start + 1]

    return (1 - below) * line(first) + below * line(first + stride)
