"""The interface of a task: sequences for training, validation and test, in plain NumPy."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from golden.encoding import Encoder
from golden.lengths import blank, checked
from golden.objective import CLASSES, VALUES, Objective
from golden.recipe import Recipe
from golden.scaling import Scaling


class DataError(ValueError):
    """Missing or damaged data; the message says what to fetch and where to put it."""


@dataclass(frozen=True, eq=False)
class Split:
    """N sequences of up to T steps. It can be used as the pair ``(inputs, targets)``.

    What a shorter sequence holds after its end has no effect: inputs become 0 there, and targets
    are not scored.

    Attributes:
        inputs: (N, T, C) float32, or symbols 0 to C - 1 (N, T) int64, which the network reads
            one-hot or through an embedding.
        targets: one class per sequence (N,) int64, or per step (N, T) int64, where -1 is not
            scored; or K real values, (N, K) or (N, T, K) float32, where NaN is not scored.
        lengths: (N,) int64, how many of the T steps each sequence has; None if all have T.

    Raises:
        ValueError: there is not a length for each sequence, or one is not in 1 to T.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.lengths is None:
            return
        count, steps = (*np.shape(self.inputs), 0, 0)[:2]
        lengths = checked(self.lengths, count, steps)
        object.__setattr__(self, "lengths", lengths)
        object.__setattr__(self, "inputs", blank(self.inputs, lengths))
        object.__setattr__(self, "targets", unscored(self.targets, lengths, steps))

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.inputs, self.targets))

    def __getitem__(self, index: int) -> np.ndarray:
        return (self.inputs, self.targets)[index]

    def trimmed(self) -> "Split":
        """The same without the steps that no sequence has."""
        if self.lengths is None:
            return self
        steps, longest = self.inputs.shape[1], self.lengths.max()
        of_steps = has_steps(self.targets, len(self.inputs), steps)
        targets = self.targets[:, :longest] if of_steps else self.targets
        return Split(self.inputs[:, :longest], targets, self.lengths)

    @property
    def steps(self) -> int:
        """Steps of all sequences together, without padding."""
        count, steps = self.inputs.shape[:2]
        return count * steps if self.lengths is None else int(self.lengths.sum())

    def take(self, chosen) -> "Split":
        """The sequences that a slice, a mask or an array of indices selects."""
        lengths = None if self.lengths is None else self.lengths[chosen]
        return Split(self.inputs[chosen], self.targets[chosen], lengths)


def unscored(targets: np.ndarray, lengths: np.ndarray, steps: int) -> np.ndarray:
    """``targets`` that are not scored after the ``lengths`` of sequences of up to ``steps`` steps,
    if they are targets of steps."""
    value = np.nan if targets.dtype.kind == "f" else -1
    return blank(targets, lengths, value) if has_steps(targets, len(lengths), steps) else targets


def has_steps(targets: np.ndarray, count: int, steps: int) -> bool:
    """Whether there is a target for each of ``steps`` steps of ``count`` sequences."""
    return targets.ndim == 2 + (targets.dtype.kind == "f") and targets.shape[:2] == (count, steps)


@dataclass(frozen=True)
class Task(ABC):
    """What a network is trained on and evaluated on.

    A subclass defines at least ``input_size``, :meth:`everything`, :meth:`test`, and either
    ``classes``, the number of classes, or ``values``, the number of real values to predict.
    If it is a frozen dataclass, its fields are options of the task; all of them need defaults.
    For example, in a file of your own::

        class Sign(Task):
            input_size, classes = 1, 2
            recipe = Recipe(hidden_size=16, epochs=5)

            def everything(self):
                return self._make(seed=0)

            def test(self):
                return self._make(seed=1)

            def _make(self, seed):
                inputs = np.random.default_rng(seed).normal(size=(1000, 20, 1))
                targets = (inputs.mean((1, 2)) > 0).astype(np.int64)
                return Split(inputs.astype(np.float32), targets)

    Attributes:
        name: name on the command line; for a task outside this package FILE.py:CLASS, which is
            set when it is loaded.
        stream: each split is one long sequence, which is read in windows with the network's
            state carried from one to the next.
    """

    name: ClassVar[str]
    stream: ClassVar[bool] = False

    @property
    def readout(self) -> str:
        """Name of a read-out kind: "mean" or "last" if each sequence has a target, "steps" if each
        step has one."""
        return "mean"

    @property
    def input_scaling(self) -> Scaling | None:
        """By what inputs are scaled, if the model has to scale a user's sequences likewise."""
        return None

    @property
    def input_encoder(self) -> Encoder | None:
        """By what scaled inputs are encoded, if the model has to encode a user's likewise."""
        return None

    @property
    def target_scaling(self) -> Scaling | None:
        """By what targets are scaled, if the model has to predict them in other units."""
        return None

    @property
    def symbols(self) -> list[str] | None:
        """The symbols that the numbers 0 to C - 1 stand for; None if the inputs are numbers."""
        return None

    @property
    def vocabulary(self) -> str | None:
        """A digest of the symbols; None if the inputs are numbers."""
        if self.symbols is None:
            return None
        return hashlib.sha256("\n".join(self.symbols).encode()).hexdigest()

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
        """Features per step, or number of symbols, C."""

    @property
    def classes(self) -> int | None:
        """Number of classes, K, if the targets are classes."""
        return None

    @property
    def values(self) -> int | None:
        """Number of real values per target, K, if the targets are real values."""
        return None

    @property
    def objective(self) -> Objective:
        """What targets are: classes or values."""
        return CLASSES if self.values is None else VALUES

    @property
    def outputs(self) -> int:
        """Outputs of a network for this task, K."""
        outputs = self.classes if self.values is None else self.values
        assert outputs is not None  # see golden.tasks.checks
        return outputs

    @abstractmethod
    def everything(self) -> Split:
        """All sequences that may be trained on: :meth:`train` and :meth:`validation`."""

    @abstractmethod
    def test(self) -> Split:
        """Test sequences, which are never trained on."""

    def check(self) -> None:  # noqa: B027 - tasks that read no files need not override it
        """Look for all files that the task reads.

        Raises:
            DataError: one is missing.
        """

    def train(self) -> Split:
        """The training sequences that are not in :meth:`validation`."""
        everything = self.everything()
        return everything.take(~_held_out(len(everything.targets)))

    def validation(self) -> Split:
        """A fixed tenth of the training sequences, for early stopping."""
        everything = self.everything()
        return everything.take(_held_out(len(everything.targets)))

    def augment(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A random variation of training inputs that leaves their targets valid. Shorter sequences
        are padded with 0."""
        return inputs


def _held_out(count: int) -> np.ndarray:
    mask = np.zeros(count, bool)
    mask[np.random.default_rng(0).permutation(count)[: count // 10]] = True
    return mask


@dataclass(frozen=True)
class FileTask(Task):
    """A task that reads its data from files.

    Attributes:
        data: a file or folder.
        source: the object of the sentence "fetch ..." if there are no data.
    """

    data: Path | None = None

    source: ClassVar[str]

    def check(self) -> None:
        self.path()

    def path(self) -> Path:
        """The path of the data.

        Raises:
            DataError: none is given, or nothing is there.
        """
        if self.data is None:
            raise DataError(
                f"{self.name} needs data: fetch {self.source}, and pass it with --data PATH"
            )
        if not self.data.exists():
            raise DataError(
                f"there is nothing at {self.data}: fetch {self.source}, and put it there "
                f"or correct --data"
            )
        return self.data
