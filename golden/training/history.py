"""The course of a training, epoch by epoch."""

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from golden import output
from golden.objective import Objective


@dataclass(frozen=True)
class Epoch:
    """Means over the training batches of one epoch.

    Attributes:
        epoch: counted from 1.
        loss: the task's, per scored target: cross-entropy in nats, or squared error.
        metric: the task's: accuracy, or R².
        activity: share of units with an event, over all layers and steps.
        validation_loss, validation_metric: None without a validation set.
        seconds: duration.
    """

    epoch: int
    loss: float
    metric: float
    activity: float
    validation_loss: float | None
    validation_metric: float | None
    seconds: float

    def in_words(self, objective: Objective) -> str:
        metric = f"{objective.title} {self.metric:{objective.form}}"
        text = f"loss {self.loss:.4f}  {metric}  activity {self.activity:.2%}"
        if self.validation_loss is not None:
            text += f"  validation {self.validation_loss:.4f}, "
            text += f"{self.validation_metric:{objective.form}}"
        return f"{text}  {self.seconds:.1f} s"


def write_history(path: Path, history: list[Epoch], objective: Objective) -> None:
    """Write a CSV file. Lightning's own logger loses the epochs before a resumption."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(f.name.replace("metric", objective.metric) for f in fields(Epoch))
    writer.writerows(astuple(epoch) for epoch in history)
    output.write(path, text.getvalue())


def has_stopped(history: list[Epoch], patience: int | None) -> bool:
    """Whether a training has stopped early: ``patience`` epochs without a lower loss."""
    losses = [epoch.validation_loss for epoch in history]
    if not patience or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience  # type: ignore[type-var]
