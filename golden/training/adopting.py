"""From the state dict of a network that was trained elsewhere to a model file."""

import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from golden.evaluation import has_twin
from golden.foreign import network_of, read_state
from golden.network.network import Network
from golden.quantization.quantize import quantize
from golden.recipe import Recipe
from golden.scaling import Scaling
from golden.tasks import Task
from golden.tasks.checks import check
from golden.tasks.own_data import OwnData
from golden.training.checkpoint import Files
from golden.training.errors import explained
from golden.training.outcome import calibration, conclude

TOLERANCE = 1e-4
"""Largest difference of outputs that rounding in float32 explains."""


def adopt(
    state: Path, task: Task, files: Files, expected: Path | None = None, overwrite: bool = False
) -> None:
    """Write the model file and the report of a network whose state dict is in ``state``.

    Args:
        task: what the network was trained on. Own data are read as they are, without scaling.
        expected: a .npz file of ``inputs`` (N, T, C) and the network's ``outputs`` for them.
        overwrite: replace what is in ``files``.

    Raises:
        ValueError: the state dict is of no such network, does not fit the task, or its outputs are
            others than expected. Nothing is written.
        OutputError: the files exist, or cannot be written.
    """
    start = time.monotonic()
    with explained(files):
        if isinstance(task, OwnData):
            task = unscaled(task)
        check(task)
        with files.claimed(False, overwrite):
            try:
                network = network_of(read_state(state), task.readout)
            except ValueError as error:
                where = "" if str(state) in str(error) else f"{state}: "
                raise ValueError(f"{where}{error}") from None
            sizes = (network.config["input_size"], network.config["outputs"])
            if sizes != (task.input_size, task.outputs):
                raise ValueError(
                    f"{state}: the network has {sizes[0]} inputs and {sizes[1]} outputs, "
                    f"{task.name} has {task.input_size} and {task.outputs}: pass the data that it "
                    f"was trained on"
                )
            if expected:
                compare(network, expected)
            typical = calibration(task)
            twin = (
                (lambda: quantize(network, typical.inputs, lengths=typical.lengths))
                if has_twin(network)
                else None
            )
            known = {n: v for n, v in network.config.items() if n in Recipe.__dataclass_fields__}
            training = {"command": f"egru import {state.name}", **asdict(Recipe(**known))}
            conclude(task, files, network, twin, {"training": training}, start, False)


def unscaled(task: OwnData) -> OwnData:
    """The task with inputs and targets as they are: the network was trained so."""

    def identity(size: int | None) -> Scaling | None:
        return None if size is None else Scaling((0.0,) * size, (1.0,) * size)

    symbols = task.input_scaling is None
    inputs = None if symbols else identity(task.input_size)
    return replace(task, scaling=inputs, scaling_of_targets=identity(task.values))


def compare(network: Network, expected: Path) -> None:
    """``ValueError`` unless the network's outputs are those in a file."""
    try:
        with np.load(expected, allow_pickle=False) as file:
            inputs, outputs = file["inputs"], file["outputs"]
    except Exception:  # numpy and zipfile raise many kinds
        raise ValueError(f"{expected}: expected a .npz file of inputs and outputs") from None
    shape = ("N", "T", network.config["input_size"])
    if inputs.ndim != 3 or inputs.shape[2] != shape[2]:
        raise ValueError(f"{expected}: inputs must have the shape {shape}, not {inputs.shape}")
    with torch.no_grad():
        found = network(torch.from_numpy(inputs).float()).numpy()
    if found.shape != outputs.shape:
        raise ValueError(
            f"{expected}: the network's outputs have the shape {found.shape}, not {outputs.shape}"
        )
    if (largest := float(abs(found - outputs).max())) > TOLERANCE:
        raise ValueError(
            f"{expected}: the network's outputs differ from these by up to {largest:.2g}: was it "
            f"trained with zoneout, or read out otherwise?"
        )
