"""Training: cross-entropy plus a price on activity above a target, resumable and deterministic."""

import io
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from golden.model_file import write_atomically
from golden.network import Network
from golden.tasks import Task

CHECKPOINT_EVERY = 10  # epochs


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that, with the task, determines the trained network.

    Attributes:
        hidden: units, H.
        epochs: passes over the training sequences.
        seed: of initialisation, order and augmentation.
        batch: sequences per update.
        rate: peak of the one-cycle learning rate of AdamW.
        weight_decay: of AdamW, on everything but thresholds.
        target_activity: share of units firing above which activity is priced, in [0, 1].
        activity_price: weight of the excess in the loss, phased in between 20 % and 50 % of
            the epochs: from the start it would silence units before they have learnt anything.
        surrogate_height, surrogate_width: see :class:`golden.egru.EGRU`.
        limit: training sequences to use; all if omitted.
    """

    hidden: int = 128
    epochs: int = 360
    seed: int = 0
    batch: int = 100
    rate: float = 6e-3
    weight_decay: float = 1e-2
    target_activity: float = 0.18
    activity_price: float = 2.0
    surrogate_height: float = 1.0
    surrogate_width: float = 0.5
    limit: int | None = None


@dataclass(frozen=True)
class Epoch:
    """Means over one epoch's training batches; ``activity`` is the share of units firing."""

    epoch: int
    loss: float
    accuracy: float
    activity: float
    seconds: float


class CheckpointError(ValueError):
    """A checkpoint that cannot be continued; the message says why."""


def train(
    task: Task,
    recipe: Recipe,
    checkpoint: Path,
    resume: bool = False,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> tuple[Network, list[Epoch]]:
    """Train a network on ``task``; the same arguments give the same network.

    ``checkpoint`` is written every CHECKPOINT_EVERY epochs and after the last; with ``resume``
    training goes on from it and ends as if it had never stopped. ``on_epoch`` is called after
    every epoch; what it raises stops the training, with a checkpoint of the epochs so far.
    """
    x, labels = (array[: recipe.limit] for array in task.train())
    run = _Run(task, recipe, len(x))
    history: list[Epoch] = []
    if resume:
        history = run.restore(checkpoint)
    for epoch in range(len(history), recipe.epochs):
        history.append(run.epoch(epoch, x, labels))
        try:
            on_epoch(history[-1])
        except BaseException:
            run.save(checkpoint, history)
            raise
        if len(history) % CHECKPOINT_EVERY == 0 or len(history) == recipe.epochs:
            run.save(checkpoint, history)
    return run.network.eval(), history


class _Run:
    """The moving parts of one training: network, optimiser, learning rate."""

    def __init__(self, task: Task, recipe: Recipe, count: int):
        torch.manual_seed(recipe.seed)
        self.task, self.recipe = task, recipe
        self.network = Network(
            task.input_size,
            recipe.hidden,
            task.classes,
            surrogate_height=recipe.surrogate_height,
            surrogate_width=recipe.surrogate_width,
        )
        named = list(self.network.named_parameters())
        decayed = [p for name, p in named if "threshold" not in name]
        thresholds = [p for name, p in named if "threshold" in name]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": recipe.weight_decay},
                {"params": thresholds, "weight_decay": 0.0},
            ],
            lr=recipe.rate,
        )
        batches = -(-count // recipe.batch)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.rate, total_steps=batches * recipe.epochs
        )

    def epoch(self, epoch: int, x: np.ndarray, labels: np.ndarray) -> Epoch:
        recipe, network = self.recipe, self.network.train()
        # A generator of its own for every epoch: nothing random to store in a checkpoint.
        rng = np.random.default_rng([recipe.seed, epoch])
        torch.manual_seed(int(rng.integers(2**62)))
        ramp = (epoch / recipe.epochs - 0.2) / 0.3
        price = recipe.activity_price * min(max(ramp, 0.0), 1.0)
        start, totals = time.monotonic(), np.zeros(3)
        order = rng.permutation(len(x))
        for chosen in np.split(order, range(recipe.batch, len(x), recipe.batch)):
            batch = torch.from_numpy(self.task.augment(x[chosen], rng))
            target = torch.from_numpy(labels[chosen])
            logits, y, _ = network.run(batch)
            loss = F.cross_entropy(logits, target)
            total = loss + price * F.relu(_activity(y) - recipe.target_activity)
            self.optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            right = (logits.argmax(1) == target).sum()
            active = (y != 0).float().mean()
            totals += [loss.item() * len(chosen), right.item(), active.item() * len(chosen)]
        loss_mean, accuracy, activity = (totals / len(x)).tolist()
        return Epoch(epoch + 1, loss_mean, accuracy, activity, time.monotonic() - start)

    def save(self, path: Path, history: list[Epoch]) -> None:
        buffer = io.BytesIO()
        content = {
            "task": self.task.name,
            "recipe": asdict(self.recipe),
            "history": [asdict(epoch) for epoch in history],
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        torch.save(content, buffer)
        write_atomically(path, buffer.getvalue())

    def restore(self, path: Path) -> list[Epoch]:
        if not path.is_file():
            raise CheckpointError(f"there is no checkpoint at {path} to resume from")
        try:
            content = torch.load(path, weights_only=True)
            task, recipe = content["task"], content["recipe"]
        except Exception as error:
            raise CheckpointError(
                f"{path} is not a readable checkpoint ({type(error).__name__}): "
                f"delete it and train from the start"
            ) from None
        if (task, recipe) != (self.task.name, asdict(self.recipe)):
            raise CheckpointError(
                f"{path} was written by a training with other options: "
                f"repeat those, or train without resuming"
            )
        self.network.load_state_dict(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.schedule.load_state_dict(content["schedule"])
        return [Epoch(**epoch) for epoch in content["history"]]


def _activity(y: Tensor) -> Tensor:
    """Share of units firing, with a gradient: each event counts as 1, and c / c carries dy."""
    return (y / y.detach().clamp_min(1e-3)).mean()
