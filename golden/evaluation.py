"""How well a model does on a task: loss, metric and activity, float and integer alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from golden.integer import IntegerEGRU
from golden.network.network import Network
from golden.network.word_network import AnyNetwork
from golden.objective import CLASSES, Objective
from golden.quantization.quantized_network import QuantizedNetwork
from golden.tasks import Split, Task

SEQUENCES = 200  # evaluated together
WINDOW = 1000  # steps of a stream evaluated together


@dataclass(frozen=True)
class Score:
    """Means over a split.

    Attributes:
        loss: per scored target: cross-entropy in nats, or squared error.
        metric: accuracy, the share of scored targets that have the largest logit; or R².
        activity: per layer, the share of units and steps with an event.
        targets: how many were scored.
    """

    loss: float
    metric: float
    activity: tuple[float, ...]
    targets: int


def first(split: Split, steps: int | None) -> Split:
    """The first ``steps`` steps of all streams; all of them if None."""
    return Split(split.inputs[:, :steps], split.targets[:, :steps])


def fold(split: Split, streams: int) -> Split:
    """The single stream of ``split`` cut into equal parallel parts; a remainder is dropped.

    Raises:
        ValueError: the stream is too short.
    """
    length = split.inputs.shape[1] // streams
    if length == 0:
        raise ValueError(
            f"a stream of {split.inputs.shape[1]} symbols cannot be cut into {streams}: "
            f"use a smaller --batch-size, a larger --limit or more data"
        )
    return Split(*(a[0, : streams * length].reshape(streams, length, *a.shape[2:]) for a in split))


def windows(split: Split, steps: int) -> Iterator[Split]:
    """Successive parts of at most that many steps of all streams."""
    for begin in range(0, split.inputs.shape[1], steps):
        yield Split(split.inputs[:, begin : begin + steps], split.targets[:, begin : begin + steps])


def has_twin(network: AnyNetwork) -> TypeGuard[Network]:
    """Whether :func:`golden.quantize` has an integer model for it."""
    return isinstance(network, Network) and network.cell.emits_events


def evaluate(
    task: Task, network: AnyNetwork, integer: IntegerEGRU | None, limit: int | None = None
) -> dict[str, Any]:
    """The scores of both models on the test set, as stored in reports and model files.

    ``loss`` and the task's metric, such as ``accuracy``, are lists [float, integer], or [float]
    without an integer model; ``activity`` is such a list for each layer; see :class:`Score`.

    Args:
        limit: steps of a stream that are read; all of them if omitted.

    Raises:
        DataError: the data are missing.
    """
    split = first(task.test(), limit) if task.stream else task.test()
    scores = [score_network(network, split, task.stream, task.objective)]
    if integer is not None:
        scores.append(score_integer(integer, task, split))
    return {
        "loss": [score.loss for score in scores],
        task.objective.metric: [score.metric for score in scores],
        "activity": [list(layer) for layer in zip(*(s.activity for s in scores), strict=True)],
        "test_sequences": len(split.targets),
        "test_targets": scores[0].targets,
    }


def in_words(results: dict[str, Any], objective: Objective) -> str:
    """The results of :func:`evaluate` in lines of text."""

    def both(values: list[float], form: str) -> str:
        kinds = ("in float", "in integers")
        return ", ".join(f"{v:{form}} {kind}" for v, kind in zip(values, kinds, strict=False))

    loss, metric = results["loss"], both(results[objective.metric], objective.form)
    lines = [
        f"{objective.title}: {metric}, of {results['test_targets']}",
        f"loss: {both(loss, '.4f')} ({objective.explain(loss[0])})",
    ]
    for index, activity in enumerate(results["activity"]):
        lines.append(f"activity of layer {index}: {both(activity, '.2%')}")
    return "\n".join(lines)


def score_network(
    network: AnyNetwork | QuantizedNetwork,
    split: Split,
    stream: bool,
    objective: Objective = CLASSES,
) -> Score:
    """The network's score; with ``stream`` its state is carried through each sequence.

    The network is left in its mode, training or not.
    """
    training, total, state = network.training, _Total(objective), None
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        for part in windows(split, WINDOW) if stream else _groups(split):
            inputs = torch.from_numpy(part.inputs).to(device)
            lengths = None if part.lengths is None else torch.from_numpy(part.lengths).to(device)
            outputs, events, state = network.run(inputs, state if stream else None, lengths)
            fired = [[y.count_nonzero().item(), part.steps * y.shape[2]] for y in events]
            total.add(outputs.double().cpu(), part.targets, np.array(fired))
    network.train(training)
    return total.score()


def score_integer(integer: IntegerEGRU, task: Task, split: Split) -> Score:
    """The integer model's score on a split of a task."""
    total, state = _Total(task.objective), None
    for part in windows(split, WINDOW) if task.stream else _groups(split):
        raw = integer.quantize_inputs(real_inputs(task, part))
        result = integer.run(raw, state if task.stream else None, lengths=part.lengths)
        state = result.state
        fired = [[np.count_nonzero(y), part.steps * y.shape[2]] for y in result.events]
        outputs = integer.logits(result.outputs, result.lengths)
        total.add(torch.from_numpy(outputs), part.targets, np.array(fired))
    return total.score()


def real_inputs(task: Task, split: Split) -> np.ndarray:
    """The inputs (N, T, C) of a split as numbers: symbols one-hot."""
    if split.inputs.dtype.kind == "f":
        return split.inputs
    return np.eye(task.input_size, dtype=np.float32)[split.inputs]


def _groups(split: Split) -> Iterator[Split]:
    for begin in range(0, len(split.targets), SEQUENCES):
        yield split.take(slice(begin, begin + SEQUENCES)).trimmed()


class _Total:
    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.loss = self.targets = 0.0
        self.sums, self.fired = np.zeros(1), np.zeros((1, 2))

    def add(self, outputs: Tensor, targets: np.ndarray, fired: np.ndarray) -> None:
        """Add float64 ``outputs`` (..., K), ``targets``, and per layer [events, unit-steps]."""
        scored = int(self.objective.scored(targets).sum())
        if scored:
            loss = self.objective.loss(outputs, torch.from_numpy(targets))
            self.loss += float(loss) * scored
        self.sums = self.sums + np.array(self.objective.sums(outputs.numpy(), targets))
        self.targets += scored
        self.fired = self.fired + fired

    def score(self) -> Score:
        activity = tuple((self.fired[:, 0] / self.fired[:, 1]).tolist())
        metric = self.objective.measure(self.sums)
        return Score(self.loss / self.targets, metric, activity, int(self.targets))
