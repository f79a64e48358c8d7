"""Recordings of event sensors, read by the ``tonic`` package.

Events are counted per time window, which is a step, and per group of neighbouring pixels or
channels, which is a feature. Counts are clipped and scaled to [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from golden.recipe import Recipe
from golden.tasks.base import DataError, FileTask, Split

LARGEST_COUNT = 8


@dataclass(frozen=True)
class _EventTask(FileTask):
    """A data set of ``tonic``.

    Attributes:
        dataset: its class in ``tonic.datasets``, and the folder that tonic stores it in.
        files: a glob pattern of the files in that folder, for "train" and "test", and for
            "validation" if the data have such a part.
        parts: by what arguments tonic's class gives each of these.
        steps: steps per sequence; recordings are cropped or padded.
        window: duration of a step in microseconds.
        pool: number of neighbouring pixels along each axis, or channels, in a feature.
        sensor: sizes of ``fields``.
        fields: names of an event's coordinates.
    """

    dataset: ClassVar[str]
    files: ClassVar[dict[str, str]]
    parts: ClassVar[dict[str, dict[str, Any]]] = {
        "train": {"train": True},
        "test": {"train": False},
    }
    steps: ClassVar[int]
    window: ClassVar[int]
    pool: ClassVar[int]
    sensor: ClassVar[tuple[int, ...]]
    fields: ClassVar[tuple[str, ...]]

    @property
    def input_size(self) -> int:
        return int(np.prod(self._grid))

    @property
    def _grid(self) -> tuple[int, ...]:
        """Number of features along each coordinate; polarities are never pooled."""
        return tuple(
            size if field == "p" else size // self.pool
            for field, size in zip(self.fields, self.sensor, strict=True)
        )

    def everything(self) -> Split:
        if "validation" not in self.files:
            return self._train
        parts = zip(self._train, self._validation, strict=True)
        return Split(*(np.concatenate(arrays) for arrays in parts))

    def train(self) -> Split:
        return self._train if "validation" in self.files else super().train()

    def validation(self) -> Split:
        return self._validation if "validation" in self.files else super().validation()

    @cached_property
    def _train(self) -> Split:
        return self._read("train")

    @cached_property
    def _validation(self) -> Split:
        return self._read("validation")

    def test(self) -> Split:
        return self._test

    @cached_property
    def _test(self) -> Split:
        return self._read("test")

    def _read(self, part: str) -> Split:
        recordings = self._recordings(part)
        inputs = np.zeros((len(recordings), self.steps, self.input_size), np.float32)
        targets = np.zeros(len(recordings), np.int64)
        for index in range(len(recordings)):
            events, targets[index] = recordings[index]
            inputs[index] = self._frames(events)
        return Split(inputs, targets)

    def check(self) -> None:
        for part in self.files:
            self._folder(part)

    def _folder(self, part: str) -> Path:
        folder = self.path() / self.dataset
        if not any(folder.glob(self.files[part])):
            raise DataError(f"{folder} holds no {self.files[part]}: fetch {self.source}")
        return folder

    def _recordings(self, part: str):
        """tonic's data set, prevented from downloading anything."""
        folder = self._folder(part)
        try:
            import tonic.datasets
        except ImportError:
            raise DataError(
                f"{self.name} is read by the tonic package, which is not installed: "
                f"install the extra egru-hw[events]"
            ) from None
        known = getattr(tonic.datasets, self.dataset)
        there: Callable[..., bool] = lambda self: True  # noqa: E731
        local = type(self.dataset, (known,), {"_check_exists": there})
        try:
            return local(save_to=str(self.path()), **self.parts[part])
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{folder} cannot be read ({error}): fetch it again") from None

    def _frames(self, events: np.ndarray) -> np.ndarray:
        time = events["t"] - events["t"][:1]  # since the first event
        step = time // self.window
        events, step = events[step < self.steps], step[step < self.steps]
        place = tuple(
            events[field].astype(np.int64) // (1 if field == "p" else self.pool)
            for field in self.fields
        )
        counts = np.zeros((self.steps, *self._grid), np.int64)
        np.add.at(counts, (step, *place), 1)
        return np.minimum(counts, LARGEST_COUNT).reshape(self.steps, -1) / LARGEST_COUNT


@dataclass(frozen=True)
class DvsGesture(_EventTask):
    """DVS128 Gesture: eleven gestures by 29 people, recorded with an event camera.

    60 steps of 25 ms. Pools of 4 × 4 pixels give 2 × 32 × 32 features.
    """

    name = "dvsgesture"
    classes = 11
    recipe = Recipe(hidden_size=512, epochs=100, patience=20, batch_size=32, learning_rate=1e-3)
    source = (
        "DVS128 Gesture as tonic offers it (ibmGestureTrain.tar.gz and ibmGestureTest.tar.gz) "
        "and unpack both into a folder DVSGesture"
    )
    dataset = "DVSGesture"
    files: ClassVar = {
        "train": "ibmGestureTrain/*/*.npy",
        "test": "ibmGestureTest/*/*.npy",
    }
    steps, window, pool = 60, 25_000, 4
    sensor, fields = (2, 128, 128), ("p", "y", "x")


@dataclass(frozen=True)
class SpikingDigits(_EventTask):
    """Spiking Heidelberg Digits: twenty spoken digits as spikes of 700 cochlear channels.

    100 steps of 10 ms. Pools of 5 channels give 140 features.
    """

    name = "shd"
    classes = 20
    recipe = Recipe(hidden_size=256, epochs=60, patience=15, batch_size=64, learning_rate=2e-3)
    source = (
        "the Spiking Heidelberg Digits (shd_train.h5.zip and shd_test.h5.zip) and unpack both "
        "into a folder SHD"
    )
    dataset = "SHD"
    files: ClassVar = {"train": "shd_train.h5", "test": "shd_test.h5"}
    steps, window, pool = 100, 10_000, 5
    sensor, fields = (700,), ("x",)


@dataclass(frozen=True)
class SpikingCommands(_EventTask):
    """Spiking Speech Commands: 35 spoken words as spikes of 700 cochlear channels.

    100 steps of 10 ms. Pools of 10 channels give 70 features. 3 GB of memory.
    """

    name = "ssc"
    classes = 35
    recipe = Recipe(hidden_size=256, epochs=30, patience=10, batch_size=128, learning_rate=2e-3)
    source = (
        "the Spiking Speech Commands (ssc_train.h5.zip, ssc_valid.h5.zip and ssc_test.h5.zip) and "
        "unpack all three into a folder SSC"
    )
    dataset = "SSC"
    files: ClassVar = {
        "train": "ssc_train.h5",
        "validation": "ssc_valid.h5",
        "test": "ssc_test.h5",
    }
    parts: ClassVar = {
        "train": {"split": "train"},
        "validation": {"split": "valid"},
        "test": {"split": "test"},
    }
    steps, window, pool = 100, 10_000, 10
    sensor, fields = (700,), ("x",)


@dataclass(frozen=True)
class SaccadeDigits(_EventTask):
    """N-MNIST: the digits of MNIST before an event camera that makes three saccades.

    20 steps of 15 ms. Pools of 2 × 2 pixels give 2 × 17 × 17 features. 3 GB of memory.
    """

    name = "nmnist"
    classes = 10
    recipe = Recipe(hidden_size=256, epochs=20, batch_size=100, learning_rate=2e-3)
    source = "N-MNIST (Train.zip and Test.zip) and unpack both into a folder NMNIST"
    dataset = "NMNIST"
    files: ClassVar = {"train": "Train/*/*.bin", "test": "Test/*/*.bin"}
    steps, window, pool = 20, 15_000, 2
    sensor, fields = (2, 34, 34), ("p", "y", "x")
