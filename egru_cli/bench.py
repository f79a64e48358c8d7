"""``egru bench``: the speed of the training core."""

from typing import Annotated

import torch
import typer
from rich.console import Console

from experiments.training_speed.benchmark import benchmark
from experiments.training_speed.cases import SHAPES, Shape
from golden.cells import find_cell
from golden.limits import STATES


def main(
    shapes: Annotated[
        list[str] | None,
        typer.Argument(
            help="Shapes to time, each T,N,C,H: steps, sequences, inputs, units.",
            show_default=" ".join(",".join(map(str, shape)) for shape in SHAPES),
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Number of CPU threads.", show_default="all cores"),
    ] = None,
) -> None:
    """Time the training core, sparse and dense, against PyTorch operations and torch.nn.GRU.

    Writes bench.json, bench.md (the tables of docs/performance.md) and bench.png to
    build/bench-train/. Timing all shapes takes 40 minutes on 2 cores.
    """
    if threads:
        torch.set_num_threads(threads)
    benchmark([_shape(text) for text in shapes or []] or SHAPES, Console(width=170))


def _shape(text: str) -> Shape:
    """The shape that the text "T,N,C,H" describes."""
    try:
        steps, count, inputs, size = map(int, text.split(","))
        if min(steps, count, inputs, size) < 1:
            raise ValueError
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not T,N,C,H: four positive integers") from None
    find_cell("egru").check_size(inputs, size, 1)
    if steps * count * max(inputs, size) > STATES:
        raise ValueError(f"{text}: T * N * C and T * N * H must be at most {STATES}")
    return steps, count, inputs, size
