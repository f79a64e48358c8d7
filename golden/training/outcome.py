"""After training: integer model, scores, model file and report."""

import json
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from golden import model_file, output
from golden.evaluation import evaluate, fold, in_words, real_inputs, windows
from golden.integer import IntegerEGRU
from golden.network.word_network import AnyNetwork
from golden.tasks import Split, Task
from golden.tasks.options import options
from golden.training.checkpoint import Files
from golden.training.errors import diverged

CALIBRATION_SEQUENCES = 500
CALIBRATION_STREAMS, CALIBRATION_STEPS = 20, 500

logger = logging.getLogger(__name__)


def calibration(task: Task) -> Split:
    """Training sequences, with real inputs (N, T, C), that scales are chosen by; of a stream,
    successive steps."""
    split = task.everything()
    if task.stream:
        length = min(split.inputs.shape[1] // CALIBRATION_STREAMS, CALIBRATION_STEPS)
        split = next(windows(fold(split, CALIBRATION_STREAMS), length))
    split = split.take(slice(CALIBRATION_SEQUENCES))
    return replace(split, inputs=real_inputs(task, split))


def conclude(
    task: Task,
    files: Files,
    network: AnyNetwork,
    quantized: Callable[[], IntegerEGRU] | None,
    training: dict[str, Any],
    start: float,
    resumed: bool,
) -> None:
    """Quantise and evaluate a trained network, and write its model file and report.

    Args:
        quantized: makes the integer model; None if the network can have none.
        training: how the network was trained, for model file and report: its ``training`` is the
            recipe.
        start: time.monotonic() at the start of the training.
        resumed: whether it began with a checkpoint.

    Raises:
        ValueError: the network could not be quantised; it has been written nevertheless. Or its
            loss is not finite; nothing is written.
    """
    integer, refusal = None, None
    try:
        integer = quantized() if quantized else None
    except ValueError as error:  # what was trained must not be lost
        refusal = error
    # The test set is used only once, here.
    results = evaluate(task, network, integer, training["training"]["limit"])
    if not math.isfinite(loss := results["loss"][0]):
        recipe = training["training"]
        raise diverged(
            recipe["learning_rate"], "by the last epoch", "the loss on the test set", loss
        )
    logger.info("test set:\n%s", in_words(results, task.objective))
    facts = {
        "task": task.name,
        "options": options(task),
        "vocabulary": task.vocabulary,
        "targets": task.objective.name,
        "scaling": asdict(scaling) if (scaling := task.input_scaling) else None,
        "encoder": asdict(encoder) if (encoder := task.input_encoder) else None,
        "target_scaling": asdict(scaling) if (scaling := task.target_scaling) else None,
        **training,
        "results": results,
    }
    versions = {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    report = {
        **facts,
        "minutes": round((time.monotonic() - start) / 60, 1),
        "resumed": resumed,
        "threads": torch.get_num_threads(),
        "versions": versions,
    }
    text = json.dumps(report, indent=2) + "\n"
    symbols = {"symbols": task.symbols} if task.symbols else {}
    model = model_file.encode(files.model, network, integer, facts | symbols)
    # The model file comes last: once it exists, the training is complete.
    output.write(files.report, text)
    output.write(files.model, model)
    files.remove_checkpoints()
    logger.info("wrote %s", files.model)
    if refusal:
        raise ValueError(f"{files.model} holds the float network only: {refusal}")
