"""``egru results``: trains and measures the networks of docs/results.md, and writes it."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console

from experiments.results import page, record
from experiments.results.catalogue import EXPERIMENTS, Experiment
from experiments.results.run import RunError, Workplace

console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def main(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with the data: fsdd.zip, mnist/, tinyshakespeare.txt."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Number of parallel runs, each on one thread.")
    ] = 1,
    train: Annotated[
        Literal["none", "cheap", "all"], typer.Option(help="Which experiments to train.")
    ] = "cheap",
    only: Annotated[
        list[str] | None,
        typer.Option(help="Train only this experiment, cheap or not. Can be repeated."),
    ] = None,
) -> None:
    """Train the cheap experiments and write docs/results.md from all records.

    Models are kept in build/results/. A run that is complete there is not repeated, and one that
    was interrupted continues. Each run leaves a record in experiments/records/.
    """
    torch.set_num_threads(1)
    works = _works(_chosen(train, only or []), data)
    try:
        with _quiet(logging.getLogger("golden")):
            failed = _work(works, jobs)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; repeat the command to continue") from None
    page.write(record.load_all(record.FOLDER))
    console.print(f"wrote {page.PAGE}, {page.FIGURE}")
    if failed:
        raise typer.Exit(1)


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Without what the quantisation of every model logs."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _chosen(train: str, only: list[str]) -> list[Experiment]:
    names = [experiment.name for experiment in EXPERIMENTS]
    for name in only:
        if name not in names:
            raise ValueError(
                f"--only {name}: there is no such experiment; there are: {', '.join(names)}"
            )
    if train == "none":
        return []
    if only:
        return [e for e in EXPERIMENTS if e.name in only]
    return [e for e in EXPERIMENTS if e.cheap or train == "all"]


def _works(experiments: list[Experiment], data: Path | None) -> list[Workplace]:
    """The runs to be made; reports those that cannot be."""
    works = []
    for experiment in experiments:
        for run in experiment.runs():
            path = run.data(data)
            if experiment.data and (path is None or not path.exists()):
                console.print(
                    f"{experiment.name}: not trained, for there is no {experiment.data} in "
                    f"{data or 'a folder named with --data'}; its records are read"
                )
                break
            works.append(Workplace(run, data, _say(run.name)))
    return works


def _say(name: str):
    return lambda text: console.print(f"{name}: {text}")


def _work(works: list[Workplace], jobs: int) -> int:
    """Make all runs; how many failed."""
    left, failed = len(works), 0

    def make(work: Workplace) -> None:
        nonlocal left, failed
        try:
            found = work.make() if not work.done() else record.load(work.record)[work.run.name]
            found.save(record.FOLDER / f"{work.run.experiment.name}.json")
            result = f"done: {found.scores['float'].accuracy:.2%}"
        except (RunError, ValueError, OSError) as error:
            failed += 1
            result = f"error: {error}"
        left -= 1
        work.say(f"{result}; {left} to go")

    pool = ThreadPoolExecutor(jobs)
    try:
        list(pool.map(make, works))
    finally:
        pool.shutdown(cancel_futures=True)
    return failed
