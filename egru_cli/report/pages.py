"""Which figures the page of each subcommand has."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from egru_cli.report import curves, events, predictions, timing
from egru_cli.report.page import Section, page
from egru_hw.contract.config import Config
from egru_hw.cost.cycles import SequencePath
from egru_hw.cost.timeline import timeline
from egru_hw.host.replies import HardwareResult
from golden.integer import IntegerEGRU, IntegerResult
from golden.model_file import ModelFile
from golden.objective import CLASSES
from golden.prediction import Prediction
from golden.tasks import Split, Task

Layers = tuple[np.ndarray, ...]
"""Per layer the event values (N, T, H), 0 where a unit is silent."""

TESTED = 1000
"""Sequences, or steps of a stream, that the float network predicts after training."""

MOST_CLASSES = 100
"""Up to which a confusion matrix can be read."""

TIMED_STEPS = 5000
"""Steps whose cycles are computed: enough for the figures, in less than a second or two."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What sequences gave.

    Attributes:
        model, config: what ran, and on hardware of which size.
        golden: the integer model's result, if it ran.
        hardware: the hardware's, if there was any. There is at least one of the two.
        targets: those of the task, if known.
        sequence: the one that is shown.
    """

    model: IntegerEGRU
    config: Config
    golden: IntegerResult | None
    hardware: HardwareResult | None
    targets: np.ndarray | None
    sequence: int = 0


def of_sequences(
    report: dict[str, Any],
    summary: list[tuple[str, str]],
    outcome: Outcome,
    file: ModelFile,
) -> str:
    """The page of sequences that were run, simulated or computed.

    Args:
        report: every figure and setting; of these the page has tables.
        summary: the rows of the table on the terminal.
    """
    sections = []
    golden, hardware = outcome.golden, outcome.hardware
    result = hardware or golden
    assert result is not None
    expected = golden.events if golden else ()
    reported = hardware.events if hardware else ()
    if expected or reported:
        sections += _of_events(expected, reported, result.lengths, outcome.sequence)
    if golden:
        sections += _of_cycles(outcome, golden)
    if outcome.targets is not None:
        targets = outcome.targets[: len(result.outputs)]
        logits = outcome.model.logits(result.outputs, result.lengths)
        predicted = Prediction(logits, file.objective, result.lengths)
        sections.append(_of_predictions(predicted, targets))
    facts = {**report, "network": file.network_config, "training": file.config.get("training", {})}
    return page(
        f"{report['model']} on {report['preset']}", str(file.path), summary, sections, facts
    )


def _of_events(
    expected: Layers, reported: Layers, lengths: np.ndarray, sequence: int
) -> list[Section]:
    text = "A mark is an event: a unit that fires in a step. Drag to move; Ctrl and the wheel zoom."
    if expected and reported:
        text += " A ring without a dot, or a dot without a ring, is a mismatch."
    return [
        Section("Events of one sequence", text, events.rasters(expected, reported, sequence)),
        Section(
            "Activity by layer and step",
            "The share of a layer's units that fire, over all sequences.",
            [events.activity(expected or reported, lengths)],
        ),
    ]


def _of_cycles(outcome: Outcome, golden: IntegerResult) -> list[Section]:
    steps = min(golden.events[0].shape[1], TIMED_STEPS)
    cut = replace(  # the cycles of a step do not depend on later ones
        golden,
        events=tuple(layer[:, :steps] for layer in golden.events),
        input_events=tuple(layer[:, :steps] for layer in golden.input_events),
        recurrent_events=tuple(layer[:, :steps] for layer in golden.recurrent_events),
        lengths=np.minimum(golden.lengths, steps),
    )
    model, config, sequence = outcome.model, outcome.config, outcome.sequence

    def played(number: int) -> tuple[list[int], int]:
        path = SequencePath(model, config)
        return list(path.play(cut, number)), path.cycles

    slowest = int(np.argmax(played(sequence)[0]))
    count = min(len(cut.events[0]), max(1, TIMED_STEPS // steps))
    latency, cycles = map(list, zip(*map(played, range(count)), strict=True))
    return [
        Section(
            f"What each unit does in step {slowest}",
            f"The slowest step of sequence {sequence}, from its first command to its STEP reply; "
            "steps before and after it are pale. Computed for a host that never waits.",
            [timing.units(timeline(model, cut, config, sequence), slowest)],
        ),
        Section(
            "Cycles against the bound",
            "The bound is what the multiply-accumulates take if all lanes are always busy. The "
            "latency of a step lasts from its first command to its STEP reply. Steps overlap, so "
            "a sequence takes fewer cycles than their sum.",
            [timing.against_bound(latency, cycles, cut, config)],
        ),
    ]


def _of_predictions(predicted: Prediction, targets: np.ndarray) -> Section:
    if predicted.objective is CLASSES:
        text = "How often sequences or steps of a class (rows) were taken for another (columns)."
        figure = predictions.confusion(predicted.outputs, targets)
        return Section("Confusion matrix", text, [figure])
    text = "Outputs against their targets."
    return Section("Forecast and target", text, [predictions.forecast(predicted.outputs, targets)])


def _predicted(file: ModelFile, split: Split) -> Prediction:
    """What the float network predicts."""
    import torch

    lengths = None if split.lengths is None else torch.from_numpy(split.lengths)
    with torch.no_grad():
        outputs = file.network().run(torch.from_numpy(split.inputs), lengths=lengths)[0]
    return Prediction(outputs.double().numpy(), file.objective, split.lengths)


def of_training(report: dict[str, Any], history: Path, file: ModelFile, task: Task) -> str:
    """The page of a training.

    Args:
        report: what ``egru train`` writes as JSON.
        history: its CSV file.
    """
    from golden.evaluation import first  # needs PyTorch, which training has

    with history.open(newline="") as lines:
        epochs = [
            {name: float(text) if text else None for name, text in row.items()}
            for row in csv.DictReader(lines)
        ]
    objective, results = file.objective, report["results"]
    metric = results[objective.metric]
    form = "0.0 %" if objective is CLASSES else "0.000"
    name = objective.metric
    figures = [
        curves.course(epochs, "loss", "loss", "0.00"),
        curves.course(epochs, name, objective.title, form),
        curves.course(epochs, "activity", "activity", "0.0 %"),
    ]
    sections = [
        Section("Course", "Means over the batches of each epoch.", figures),
    ]
    config = file.network_config
    activity = [layer[0] for layer in results["activity"]]
    if file.integer is not None:
        dense = 3 * config["hidden_size"] ** 2 * config["num_layers"]
        final = float(np.mean(activity)), metric[0]
        sections.append(
            Section(
                f"{objective.title.capitalize()} against operations",
                "A unit that fires costs its column of recurrent weights, a silent unit none. "
                f"If all units fired, a step would take {dense:,} multiply-accumulates.",
                [curves.against_operations(epochs, name, objective.title, form, dense, final)],
            )
        )
    if config.get("outputs", MOST_CLASSES + 1) <= MOST_CLASSES:  # a model of words has none
        test = task.test()
        split = first(test, TESTED) if task.stream else test.take(slice(TESTED))
        sections.append(_of_predictions(_predicted(file, split), split.targets))
    kinds = ("float", "integer")
    summary = [("epochs", str(len(epochs)))]
    for kind, value in zip(kinds, metric, strict=False):
        summary.append((f"{objective.title}, {kind}", f"{value:{objective.form}}"))
    for kind, value in zip(kinds, results["loss"], strict=False):
        summary.append((f"loss, {kind}", f"{value:.4f}"))
    for layer, share in enumerate(activity):
        summary.append((f"activity of layer {layer}", f"{share:.2%}"))
    return page(report["task"], str(file.path), summary, sections, {**report, "network": config})
