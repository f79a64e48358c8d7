"""What networks are trained on. Plain numpy: the simulator reads test sequences from here."""

import random
from functools import cached_property
from typing import Protocol

import numpy as np

Sequences = tuple[np.ndarray, np.ndarray]


class Task(Protocol):
    """A sequence classification task; add one by listing it in :data:`TASKS`."""

    name: str
    input_size: int
    classes: int

    def train(self) -> Sequences:
        """Training inputs (N, T, C) float32 and their classes (N,) int64."""

    def test(self) -> Sequences:
        """Test inputs and classes, never seen in training."""

    def augment(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A random variation of training inputs (N, T, C) that keeps their classes."""


class Mnist1D:
    """MNIST-1D (Greydanus and Kobak, 2020): ten digits as noisy curves of 40 points.

    Made by the ``mnist1d`` package from its default seed, 4000 curves to train on and 1000 to
    test; equal to the published file. The published GRU reaches 91 %.
    """

    name = "mnist1d"
    input_size = 1
    classes = 10

    @cached_property
    def _data(self) -> dict[str, np.ndarray]:
        from mnist1d.data import get_dataset_args, make_dataset

        # The package seeds the global generators: leave them as they were.
        numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
        try:
            return make_dataset(get_dataset_args())
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)

    def train(self) -> Sequences:
        return _sequences(self._data["x"], self._data["y"])

    def test(self) -> Sequences:
        return _sequences(self._data["x_test"], self._data["y_test"])

    def augment(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shift, stretch, gain, slope and noise, each less than the data's own variation."""
        count, steps, _ = inputs.shape

        def uniform(spread: float) -> np.ndarray:
            return rng.uniform(-spread, spread, (count, 1))

        centre = (steps - 1) / 2
        position = (np.arange(steps) - centre) * (1 + uniform(0.1)) + centre + uniform(2.0)
        position = position.clip(0, steps - 1)
        left = np.minimum(position.astype(np.int64), steps - 2)
        part = position - left
        x = inputs[..., 0]
        x = (1 - part) * np.take_along_axis(x, left, 1) + part * np.take_along_axis(x, left + 1, 1)
        x = x * (1 + uniform(0.1)) + uniform(0.5) * np.linspace(-0.5, 0.5, steps)
        x = x + rng.normal(0, 0.03, x.shape)
        return x[..., None].astype(np.float32)


def _sequences(x: np.ndarray, y: np.ndarray) -> Sequences:
    return x[..., None].astype(np.float32), y.astype(np.int64)


TASKS: dict[str, Task] = {task.name: task for task in (Mnist1D(),)}
