"""From a task and a recipe to a model file."""

import time
from dataclasses import asdict
from typing import cast

from golden.evaluation import has_twin
from golden.integer import IntegerEGRU
from golden.network.network import Network
from golden.network.word_network import AnyNetwork
from golden.quantization.quantize import quantize
from golden.recipe import Recipe
from golden.tasks import Task
from golden.tasks.checks import check
from golden.training.checkpoint import Files
from golden.training.command import train_command
from golden.training.errors import explained
from golden.training.loop import train
from golden.training.outcome import calibration, conclude
from golden.training.processes import is_first


def build(
    task: Task,
    recipe: Recipe,
    files: Files,
    resume: bool = False,
    progress_bar: bool = False,
    overwrite: bool = False,
) -> None:
    """Train a network, quantise it, evaluate both models and write all ``files``.

    Arguments and further errors are those of :func:`golden.training.train`.

    Args:
        overwrite: replace what an earlier training has written to ``files``.

    Raises:
        OutputError: such files exist, or cannot be written, or another training writes them.
        Interrupted: by Ctrl-C or SIGTERM, perhaps with a checkpoint to resume from.
        OutOfMemory: the network or the batches are too large.
        ValueError: the trained network has no integer model; the model file lacks it.
    """
    start = time.monotonic()
    with explained(files):
        check(task, recipe.patience is not None)
        with files.claimed(resume, overwrite):
            trained, _ = train(task, recipe, files, resume, progress_bar)
            network = cast(AnyNetwork, trained)
            if not is_first():  # the first of several processes does the rest
                return
            twin = (lambda: _quantized(network, task)) if has_twin(network) else None
            training = {"training": {"command": train_command(task, recipe), **asdict(recipe)}}
            conclude(task, files, network, twin, training, start, resume)


def _quantized(network: Network, task: Task) -> IntegerEGRU:
    typical = calibration(task)
    return quantize(network, typical.inputs, lengths=typical.lengths)
