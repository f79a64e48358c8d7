"""``egru results``: the experiments of docs/results.md."""

from pathlib import Path
from typing import Annotated

import torch
import typer

from egru_cli.console import console
from experiments.results.runner import Choice, make_results


def main(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with the data: fsdd.zip, mnist/, tinyshakespeare.txt."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of parallel runs, each on one thread.", show_default="1"),
    ] = None,
    train: Annotated[
        Choice | None, typer.Option(help="Which experiments to train.", show_default="cheap")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Train only this experiment, even if it is not cheap. Can be repeated."),
    ] = None,
) -> None:
    """Train the cheap experiments and generate docs/results.md from all records.

    Models are kept in build/results/. Completed runs are not repeated, and interrupted runs are
    resumed. Each run writes a record to experiments/records/.
    """
    torch.set_num_threads(1)
    try:
        succeeded = make_results(train, only or [], data, jobs, console.print)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; repeat the command to continue") from None
    if not succeeded:
        raise typer.Exit(1)
