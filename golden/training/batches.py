"""Training batches: the same for the same recipe, shared out among processes."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from golden.evaluation import fold, windows
from golden.tasks import Split, Task
from golden.training.recipes import Recipe


class Batch(NamedTuple):
    """``inputs`` and ``targets`` as of a Split, and by how much this process's means count
    in the mean over all processes: 1 where all have as many sequences."""

    inputs: Tensor
    targets: Tensor
    share: float


class Batches:
    """One epoch's batches, drawn anew for each epoch.

    Everything random is drawn for the whole batch, from a generator of its own for every epoch:
    so nothing random has to be stored in a checkpoint, and the processes see parts of the batch
    that a single one would see.

    Args:
        epoch: tells the current one.
        rank: of this process, among ``processes``.
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
            limited = Split(*(array[:, : recipe.limit] for array in split))
            self.split = fold(limited, recipe.batch)
        else:
            self.split = split.take(slice(recipe.limit))

    def __len__(self) -> int:
        count, size = (
            (self.split.inputs.shape[1], self.recipe.window)
            if self.task.stream
            else (len(self.split.targets), self.recipe.batch)
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
        for chosen in np.split(order, range(self.recipe.batch, count, self.recipe.batch)):
            inputs, targets = self.split.take(chosen)
            yield self._of_this_process(Split(self.task.augment(inputs, rng), targets))

    def _of_this_process(self, whole: Split) -> Batch:
        mine, count = whole.take(slice(self.rank, None, self.processes)), len(whole.targets)
        share = len(mine.targets) * self.processes / count
        if share == 0:  # a process must have something to compute, if only to count it 0 times
            mine = whole.take(slice(1))
        return Batch(torch.from_numpy(mine.inputs), torch.from_numpy(mine.targets), share)
