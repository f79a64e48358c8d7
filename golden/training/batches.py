"""Training batches: a function of task, recipe and epoch, divided among the processes."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from golden.evaluation import first, fold, windows
from golden.limits import STATES
from golden.objective import Classes
from golden.recipe import Recipe
from golden.tasks import Split, Task


class Batch(NamedTuple):
    """This process's part of a batch.

    Attributes:
        inputs, targets, lengths: as in a Split.
        steps: of all its sequences together, without padding.
        share: weight of this process's mean loss in the mean over all processes. It is 1 if the
            targets of all parts weigh as much.
        steps_share: weight of its activity. It is 1 if all parts have as many steps.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None
    steps: int
    share: float
    steps_share: float


class Batches:
    """The batches of an epoch.

    Each epoch has its own random generator, and all random choices are made for the whole batch.
    So a checkpoint needs no generator state, and several processes train on the same batches as
    a single one.

    Attributes:
        objective: the task's, with the recipe's weights of classes.

    Args:
        epoch: returns the current epoch.
        rank: number of this process, one of ``processes``.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        epoch: Callable[[], int],
        rank: int = 0,
        processes: int = 1,
    ):
        self.task, self.recipe, self.epoch = task, recipe, epoch
        self.rank, self.processes = rank, processes
        split = task.train() if recipe.patience else task.everything()
        if task.stream:
            self.split = fold(first(split, recipe.limit), recipe.batch_size)
        else:
            self.split = split.take(slice(recipe.limit))
        self.objective = task.objective
        if recipe.class_weights:
            self.objective = Classes.balanced(self.split.targets, task.outputs)
        self._check_size()

    def _check_size(self) -> None:
        """Refuse batches beyond :mod:`golden.limits`."""
        recipe, (count, steps) = self.recipe, self.split.inputs.shape[:2]
        count = -(-min(recipe.batch_size, count) // self.processes)
        steps = min(recipe.window, steps) if self.task.stream else steps
        states = count * steps * recipe.hidden_size * recipe.num_layers
        if states > STATES:
            raise ValueError(
                f"batches of {count} sequences of {steps} steps have {states} states of units, "
                f"more than {STATES}: reduce --batch-size{' or --window' * self.task.stream}"
            )

    def __len__(self) -> int:
        count, size = (
            (self.split.inputs.shape[1], self.recipe.window)
            if self.task.stream
            else (len(self.split.targets), self.recipe.batch_size)
        )
        return -(-count // size)

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng([self.recipe.seed, self.epoch()])
        torch.manual_seed(int(rng.integers(2**62)) + self.rank)
        if self.task.stream:
            for part in windows(self.split, self.recipe.window):
                yield self._of_this_process(part)
            return
        count = len(self.split.targets)
        order = rng.permutation(count)
        size = self.recipe.batch_size
        for chosen in np.split(order, range(size, count, size)):
            batch = self.split.take(chosen).trimmed()
            inputs = batch.inputs
            varied = self.task.augment(inputs, rng)
            if (varied.shape, varied.dtype) != (inputs.shape, inputs.dtype):
                raise ValueError(
                    f"{self.task.name}: augment() must return {inputs.dtype} of shape "
                    f"{inputs.shape}, not {varied.dtype} of shape {varied.shape}"
                )
            yield self._of_this_process(Split(varied, batch.targets, batch.lengths))

    def _of_this_process(self, whole: Split) -> Batch:
        mine = whole.take(slice(self.rank, None, self.processes))
        weight, of_all = self.objective.weight(mine.targets), self.objective.weight(whole.targets)
        share = weight * self.processes / of_all if of_all else 0.0
        steps_share = mine.steps * self.processes / whole.steps
        if steps_share == 0:  # the process must still compute something; its weight is 0
            mine = whole.take(slice(1))
        inputs, targets = map(torch.from_numpy, mine)
        lengths = None if mine.lengths is None else torch.from_numpy(mine.lengths)
        return Batch(inputs, targets, lengths, mine.steps, share, steps_share)
