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
            help="Sequences: .npy, .npz (the only array, or the one named inputs, and lengths) or "
            ".csv (one line per step, with the titles sequence and step for several sequences).",
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
    sequence, or (T,) if C is also 1. Sequences of different lengths are padded, and an array
    lengths (N,) in the .npz file has their steps. Prints the most probable class of each sequence
    and its probability, or the predicted values; of each step, if MODEL was trained so, but not of
    padding. Exits with status 1 if the simulated accelerator differs from the integer model.
    """
    loaded = load(model)
    if "input_size" not in loaded.network_config:
        raise ValueError(f"{loaded.path} holds a model of words, which takes no real numbers")
    inputs, lengths = read(file, loaded.network_config["input_size"])
    if on == "rtl":
        prediction = _simulate(loaded, inputs, lengths)
    else:
        prediction = loaded.predict(inputs, on, lengths)
    if as_json:
        facts = {"model": model, "file": str(file), "on": on}
        print(json.dumps(facts | _arrays(prediction), indent=2))
    else:
        results.print(_table(prediction))


def _simulate(file: ModelFile, inputs: np.ndarray, lengths: np.ndarray | None) -> Prediction:
    """The prediction of the simulated accelerator."""
    from sim.simulation import run

    integer = file.twin()
    with progress() as show:
        simulation = run(integer, file.preparation(inputs), lengths=lengths, progress=show)
    if first := simulation.comparison.first:
        console.print(f"mismatch: first {first}")
        raise typer.Exit(1)
    hardware = simulation.hardware
    outputs = file.unscaled(integer.logits(hardware.outputs, hardware.lengths))
    return Prediction(outputs, file.objective, hardware.lengths)


def _arrays(prediction: Prediction) -> dict[str, list]:
    """What was predicted, by name."""
    if prediction.objective is VALUES:
        arrays = {"values": prediction.outputs}
    else:
        arrays = {"classes": prediction.classes, "probabilities": prediction.probabilities}
    return {name: _lists(array, prediction) for name, array in arrays.items()}


def _lists(array: np.ndarray, prediction: Prediction) -> list:
    """An array of outputs as lists, without padding."""
    if prediction.lengths is None or prediction.outputs.ndim == 2:
        return array.tolist()
    pairs = zip(array, prediction.lengths, strict=True)
    return [sequence[:length].tolist() for sequence, length in pairs]


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
        if np.isnan(prediction.outputs[place]).all():  # padding
            continue
        if prediction.objective is VALUES:
            cells = [f"{value:.6g}" for value in prediction.outputs[place]]
        else:
            chosen = classes[place]
            cells = [str(chosen), f"{probabilities[(*place, chosen)]:.1%}"]
        table.add_row(*map(str, place), *cells)
    return table
