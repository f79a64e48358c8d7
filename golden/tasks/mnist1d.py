"""MNIST-1D: ten digits as noisy curves."""

import random
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from golden.recipe import Recipe
from golden.tasks.base import Split, Task
from golden.tasks.warp import warp_time


@dataclass(frozen=True)
class Mnist1D(Task):
    """MNIST-1D (Greydanus and Kobak, 2020): ten digits as noisy curves of 40 points.

    The ``mnist1d`` package generates 4000 training curves and 1000 test curves from its default
    seed; they equal the published file. The published GRU reaches 91 %.
    """

    name = "mnist1d"
    input_size = 1
    classes = 10
    # The activity target falls slowly: units silenced before they have learnt stay silent.
    recipe = Recipe(epochs=360, target_activity=0.108, target_until=0.7, activity_price=2.0)

    @cached_property
    def _data(self) -> dict[str, np.ndarray]:
        from mnist1d.data import get_dataset_args, make_dataset

        # The package seeds the global generators; restore them afterwards.
        numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
        try:
            return make_dataset(get_dataset_args())
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)

    def everything(self) -> Split:
        return _sequences(self._data["x"], self._data["y"])

    def test(self) -> Split:
        return _sequences(self._data["x_test"], self._data["y_test"])

    def augment(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shift, stretch, gain, slope and noise, each smaller than the variation in the data."""
        count, steps, _ = inputs.shape

        def uniform(spread: float) -> np.ndarray:
            return rng.uniform(-spread, spread, (count, 1, 1))

        x = warp_time(inputs.astype(np.float64), rng, shift=2.0, stretch=0.1)
        slope = np.linspace(-0.5, 0.5, steps)[:, None]
        x = x * (1 + uniform(0.1)) + uniform(0.5) * slope + rng.normal(0, 0.03, x.shape)
        return x.astype(np.float32)


def _sequences(x: np.ndarray, y: np.ndarray) -> Split:
    return Split(x[..., None].astype(np.float32), y.astype(np.int64))
