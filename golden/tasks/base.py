"""What a task is: sequences to train on, to validate on and to test on, as plain numpy."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from golden.recipe import Recipe


class DataError(ValueError):
    """Data that is missing or damaged; the message says what to fetch and where to put it."""


class Split(NamedTuple):
    """N sequences of T steps.

    Attributes:
        inputs: (N, T, C) float32; or (N, T) integer symbols 0 ... C - 1, which a network sees
            one-hot.
        targets: (N,) int64, a class for each sequence; or (N, T), one for each step. -1 where
            none is scored.
    """

    inputs: np.ndarray
    targets: np.ndarray

    def take(self, chosen) -> "Split":
        """The sequences that a slice, a mask or positions choose."""
        return Split(self.inputs[chosen], self.targets[chosen])


@dataclass(frozen=True)
class Task(ABC):
    """A task. One that takes options has them as fields, all with defaults.

    Attributes:
        name: as on the command line.
        readout: what has a target, each sequence ("mean", of its steps) or each step ("steps").
        stream: each split is a single long sequence, which is read on and on with the network's
            state carried.
    """

    name: ClassVar[str]
    readout: ClassVar[Literal["mean", "steps"]] = "mean"
    stream: ClassVar[bool] = False

    @property
    def vocabulary(self) -> str | None:
        """Tells one set of symbols from another; None where inputs are numbers."""
        return None

    @property
    def recipe(self) -> Recipe:
        """How a network is trained on this task."""
        return Recipe()

    @property
    def cell_recipes(self) -> Mapping[str, Recipe]:
        """Recipes of the cells for which :attr:`recipe` is not the best, by name."""
        return {}

    def recipe_for(self, cell: str | None = None) -> Recipe:
        """The recipe for networks of that cell; None for :attr:`recipe`'s own."""
        if cell is None:
            return self.recipe
        return replace(self.cell_recipes.get(cell, self.recipe), cell=cell)

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Features a step, or symbols, C."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Classes of the targets, K."""

    @abstractmethod
    def everything(self) -> Split:
        """All that may be trained on: :meth:`train` and :meth:`validation` together."""

    @abstractmethod
    def test(self) -> Split:
        """Test sequences, never seen in training."""

    def check(self) -> None:  # noqa: B027 - most tasks make their data
        """Looks for all files that will be needed.

        Raises:
            DataError: one is missing.
        """

    def train(self) -> Split:
        """Training sequences without those of :meth:`validation`."""
        everything = self.everything()
        return everything.take(~_held_out(len(everything.targets)))

    def validation(self) -> Split:
        """A tenth of the training sequences, always the same, for early stopping."""
        everything = self.everything()
        return everything.take(_held_out(len(everything.targets)))

    def augment(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A random variation of training inputs that keeps their targets."""
        return inputs


def _held_out(count: int) -> np.ndarray:
    mask = np.zeros(count, bool)
    mask[np.random.default_rng(0).permutation(count)[: count // 10]] = True
    return mask


@dataclass(frozen=True)
class FileTask(Task):
    """A task whose data are files that the user names.

    Attributes:
        data: a file or folder.
        source: what to fetch and from where, to complete "fetch ...".
    """

    data: Path | None = None

    source: ClassVar[str]

    def check(self) -> None:
        self.path()

    def path(self) -> Path:
        """Where the data are.

        Raises:
            DataError: there are none.
        """
        if self.data is None:
            raise DataError(
                f"{self.name} needs data: fetch {self.source}, and name it with --data PATH"
            )
        if not self.data.exists():
            raise DataError(
                f"there is nothing at {self.data}: fetch {self.source}, and put it there "
                f"or correct --data"
            )
        return self.data
