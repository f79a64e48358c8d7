"""How well a model does on a task: loss, accuracy and activity, float and integer alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Any, TypeGuard

import numpy as np
import torch

from golden.integer import IntegerEGRU
from golden.network.network import Network
from golden.network.word_network import AnyNetwork
from golden.quantization.quantized_network import QuantizedNetwork
from golden.tasks import Split, Task

SEQUENCES = 200  # evaluated together
WINDOW = 1000  # steps of a stream evaluated together


@dataclass(frozen=True)
class Score:
    """Means over a split.

    Attributes:
        loss: cross-entropy in nats per scored target.
        accuracy: share of scored targets that have the largest logit.
        activity: per layer, the share of units and steps with an event.
        targets: how many were scored.
    """

    loss: float
    accuracy: float
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
    inputs, targets = (a[0, : streams * length].reshape(streams, length) for a in split)
    return Split(inputs, targets)


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

    ``loss`` and ``accuracy`` are lists [float, integer], or [float] without an integer model;
    ``activity`` is such a list for each layer; see :class:`Score`.

    Args:
        limit: steps of a stream that are read; all of them if omitted.

    Raises:
        DataError: the data are missing.
    """
    split = first(task.test(), limit) if task.stream else task.test()
    scores = [score_network(network, split, task.stream)]
    if integer is not None:
        scores.append(score_integer(integer, task, split))
    return {
        "loss": [score.loss for score in scores],
        "accuracy": [score.accuracy for score in scores],
        "activity": [list(layer) for layer in zip(*(s.activity for s in scores), strict=True)],
        "test_sequences": len(split.targets),
        "test_targets": scores[0].targets,
    }


def in_words(results: dict[str, Any]) -> str:
    """The results of :func:`evaluate` in lines of text."""

    def both(values: list[float], form: str) -> str:
        kinds = ("in float", "in integers")
        return ", ".join(f"{v:{form}} {kind}" for v, kind in zip(values, kinds, strict=False))

    loss = results["loss"]
    lines = [
        f"accuracy: {both(results['accuracy'], '.2%')}, of {results['test_targets']}",
        f"loss: {both(loss, '.4f')} (nats; {loss[0] / log(2):.4f} bits; "
        f"perplexity {torch.tensor(loss[0]).double().exp():.4g})",
    ]
    for index, activity in enumerate(results["activity"]):
        lines.append(f"activity of layer {index}: {both(activity, '.2%')}")
    return "\n".join(lines)


def score_network(network: AnyNetwork | QuantizedNetwork, split: Split, stream: bool) -> Score:
    """The network's score; with ``stream`` its state is carried through each sequence.

    The network is left in its mode, training or not.
    """
    training, total, state = network.training, _Total(), None
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        for part in windows(split, WINDOW) if stream else _groups(split):
            inputs = torch.from_numpy(part.inputs).to(device)
            logits, events, state = network.run(inputs, state if stream else None)
            fired = [[y.count_nonzero().item(), y.numel()] for y in events]
            total.add(logits.double().cpu().numpy(), part.targets, np.array(fired))
    network.train(training)
    return total.score()


def score_integer(integer: IntegerEGRU, task: Task, split: Split) -> Score:
    """The integer model's score on a split of a task."""
    total, state = _Total(), None
    for part in windows(split, WINDOW) if task.stream else _groups(split):
        raw = integer.quantize_inputs(real_inputs(task, part))
        result = integer.run(raw, state if task.stream else None)
        state = result.state
        fired = [[np.count_nonzero(y), y.size] for y in result.events]
        logits = integer.logits(result.outputs, part.inputs.shape[1])
        total.add(logits, part.targets, np.array(fired))
    return total.score()


def real_inputs(task: Task, split: Split) -> np.ndarray:
    """The inputs (N, T, C) of a split as numbers: symbols one-hot."""
    if split.inputs.dtype.kind == "f":
        return split.inputs
    return np.eye(task.input_size, dtype=np.float32)[split.inputs]


def _groups(split: Split) -> Iterator[Split]:
    for begin in range(0, len(split.targets), SEQUENCES):
        yield split.take(slice(begin, begin + SEQUENCES))


class _Total:
    def __init__(self) -> None:
        self.loss = self.right = self.targets = 0.0
        self.fired = np.zeros((1, 2))

    def add(self, logits: np.ndarray, targets: np.ndarray, fired: np.ndarray) -> None:
        """Add ``logits`` (..., K), ``targets`` (...), and per layer [events, unit-steps]."""
        scored = targets >= 0
        logits, targets = logits[scored], targets[scored]
        largest = logits.max(1, keepdims=True)
        log_sum = np.log(np.exp(logits - largest).sum(1)) + largest[:, 0]
        self.loss += (log_sum - logits[np.arange(len(targets)), targets]).sum()
        self.right += (logits.argmax(1) == targets).sum()
        self.targets += len(targets)
        self.fired = self.fired + fired

    def score(self) -> Score:
        activity = tuple((self.fired[:, 0] / self.fired[:, 1]).tolist())
        return Score(
            float(self.loss / self.targets),
            float(self.right / self.targets),
            activity,
            int(self.targets),
        )
