"""The course of a training, epoch by epoch."""

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from golden import output


@dataclass(frozen=True)
class Epoch:
    """Means over the training batches of one epoch.

    Attributes:
        epoch: counted from 1.
        loss: cross-entropy in nats per scored target.
        accuracy: share of scored targets that have the largest logit.
        activity: share of units with an event, over all layers and steps.
        validation_loss, validation_accuracy: None without a validation set.
        seconds: duration.
    """

    epoch: int
    loss: float
    accuracy: float
    activity: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float

    def __str__(self) -> str:
        text = f"loss {self.loss:.4f}  accuracy {self.accuracy:.2%}  activity {self.activity:.2%}"
        if self.validation_loss is not None:
            text += f"  validation {self.validation_loss:.4f}, {self.validation_accuracy:.2%}"
        return f"{text}  {self.seconds:.1f} s"


def write_history(path: Path, history: list[Epoch]) -> None:
    """Write a CSV file. Lightning's own logger loses the epochs before a resumption."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in history)
    output.write(path, text.getvalue())


def has_stopped(history: list[Epoch], patience: int | None) -> bool:
    """Whether a training has stopped early: ``patience`` epochs without a lower loss."""
    losses = [epoch.validation_loss for epoch in history]
    if not patience or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience  # type: ignore[type-var]
