"""Quantisation-aware training of a model that has been trained in float."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

from golden.evaluation import has_twin
from golden.model_file import ModelFile, load
from golden.quantization.quantize import QuantizeConfig
from golden.quantization.quantized_network import QuantizedNetwork
from golden.recipe import Recipe, Tuning
from golden.tasks import of_model
from golden.tasks.checks import check, check_model
from golden.training.checkpoint import Files
from golden.training.command import tune_command
from golden.training.errors import explained
from golden.training.loop import train
from golden.training.outcome import calibration, conclude
from golden.training.processes import is_first


def tune(
    model: str | Path,
    tuning: Tuning,
    files: Files,
    resume: bool = False,
    progress_bar: bool = False,
    data: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Continue the training of ``model`` with the integer model's arithmetic as forward pass.

    The model's recipe applies, with the values of ``tuning``, without weight decay and early
    stopping, and with the recipe's final activity target throughout. Other arguments and errors
    are those of :func:`golden.training.build`.

    Args:
        model: a model file with an integer model.
        data: the files of its task, if it reads any.

    Raises:
        ValueError: the model has no integer model, or does not record its task and recipe.
    """
    start = time.monotonic()
    with explained(files):
        file = load(model)
        network = file.network()
        if not has_twin(network):
            raise ValueError(f"{model} has no integer model to train: use a model of an EGRU")
        task = of_model(file.path, file.config, data)
        check_model(task, file.config, file.network_config)
        check(task)
        recipe = replace(
            recipe_of(file),
            epochs=tuning.epochs,
            learning_rate=tuning.learning_rate,
            seed=tuning.seed,
            weight_decay=0.0,
            target_from=0.0,
            target_until=0.0,
            patience=None,
        )
        with files.claimed(resume, overwrite):
            bits = QuantizeConfig(weight_bits=tuning.weight_bits)
            typical = calibration(task)
            started = QuantizedNetwork(network, typical.inputs, bits, typical.lengths)
            trained, _ = train(task, recipe, files, resume, progress_bar, started)
            quantized = cast(QuantizedNetwork, trained)
            if not is_first():  # the first of several processes does the rest
                return
            training = {
                "training": {"command": tune_command(file.path, tuning), **asdict(recipe)},
                "before": {name: file.config.get(name) for name in ("training", "results")},
            }
            twin = quantized.integer
            conclude(task, files, quantized.network, twin, training, start, resume)


def recipe_of(file: ModelFile) -> Recipe:
    """The recipe that a model file records.

    Raises:
        ValueError: it records none, or one that is not valid.
    """
    if "training" not in file.config:
        raise ValueError(f"{file.path} does not record the recipe it was trained with")
    values = {name: v for name, v in file.config["training"].items() if name != "command"}
    if unknown := sorted(values.keys() - Recipe.__dataclass_fields__.keys()):
        raise ValueError(
            f"{file.path}: its recipe has the unknown option {unknown[0]!r}, so the training "
            f"cannot be continued: train the model again"
        )
    try:
        return Recipe(**values)
    except ValueError as error:
        raise ValueError(f"{file.path}: its recipe is not valid ({error})") from None
