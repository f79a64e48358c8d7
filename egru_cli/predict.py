"""``egru predict``: a user's own sequences through a model."""

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.table import Table

from egru_cli.console import console, results
from egru_cli.options import Model
from egru_cli.progress import progress
from egru_cli.sequences import read
from golden.model_file import ModelFile, load
from golden.objective import VALUES
from golden.prediction import Prediction


def main(
    model: Model,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Sequences: .npy, .npz (the only array, or the one named inputs) or "
            ".csv (one sequence, one line per step).",
        ),
    ],
    on: Annotated[
        Literal["float", "integer", "rtl"],
        typer.Option(
            help="What to run: the float network, its integer model, or the simulated accelerator, "
            "which is also compared with the integer model."
        ),
    ] = "integer",
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print classes and all probabilities, or values, as JSON."),
    ] = False,
) -> None:
    """Run the sequences in FILE through MODEL.

    An array has the shape (N, T, C) for N sequences of T steps with C features, or (T, C) for one
    sequence, or (T,) if C is also 1. Prints the most probable class of each sequence and its
    probability, or the predicted values; of each step, if MODEL was trained so. Exits with status 1
    if the simulated accelerator differs from the integer model.
    """
    loaded = load(model)
    if "input_size" not in loaded.network_config:
        raise ValueError(f"{loaded.path} holds a model of words, which takes no real numbers")
    inputs = read(file, loaded.network_config["input_size"])
    prediction = _simulate(loaded, inputs) if on == "rtl" else loaded.predict(inputs, on)
    if as_json:
        facts = {"model": model, "file": str(file), "on": on}
        print(json.dumps(facts | _arrays(prediction), indent=2))
    else:
        results.print(_table(prediction))


def _simulate(file: ModelFile, inputs: np.ndarray) -> Prediction:
    """The prediction of the simulated accelerator."""
    from sim.simulation import run

    integer = file.twin()
    with progress() as show:
        simulation = run(integer, file.scaled(inputs), progress=show)
    if first := simulation.comparison.first:
        console.print(f"mismatch: first {first}")
        raise typer.Exit(1)
    outputs = integer.logits(simulation.hardware.outputs, inputs.shape[1])
    return Prediction(outputs, file.objective)


def _arrays(prediction: Prediction) -> dict[str, list]:
    """What was predicted, by name."""
    if prediction.objective is VALUES:
        return {"values": prediction.outputs.tolist()}
    return {
        "classes": prediction.classes.tolist(),
        "probabilities": prediction.probabilities.tolist(),
    }


def _table(prediction: Prediction) -> Table:
    """A row for each class that was predicted, or for the values of a sequence or step."""
    shape = prediction.outputs.shape
    table = Table()
    if prediction.objective is VALUES:
        titles = [f"value {output}" for output in range(shape[-1])]
    else:
        titles = ["class", "probability"]
        classes, probabilities = prediction.classes, prediction.probabilities
    for title in (*("sequence", "step")[: len(shape) - 1], *titles):
        table.add_column(title, justify="right")
    for place in np.ndindex(shape[:-1]):
        if prediction.objective is VALUES:
            cells = [f"{value:.6g}" for value in prediction.outputs[place]]
        else:
            chosen = classes[place]
            cells = [str(chosen), f"{probabilities[(*place, chosen)]:.1%}"]
        table.add_row(*map(str, place), *cells)
    return table
