"""Random variations in time, for augmentation."""

import numpy as np


def warp_time(x: np.ndarray, rng: np.random.Generator, shift: float, stretch: float) -> np.ndarray:
    """Each sequence of ``x`` (N, T, C) moved by up to ``shift`` steps and stretched by a factor
    of up to 1 ± ``stretch``, with linear interpolation and the ends held."""
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
