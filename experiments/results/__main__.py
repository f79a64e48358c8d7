"""``python -m experiments.results`` trains and measures, and writes docs/results.md."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console

from experiments.results import page, record
from experiments.results.experiments import EXPERIMENTS, Experiment
from experiments.results.run import RunError, Workplace

app = typer.Typer(add_completion=False)
console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


@app.command()
def main(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of all data: fsdd.zip, mnist/, tinyshakespeare.txt."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time, each on one thread.")] = 1,
    train: Annotated[
        Literal["none", "cheap", "all"], typer.Option(help="What to train anew.")
    ] = "cheap",
    only: Annotated[
        list[str] | None,
        typer.Option(help="Train for this experiment only, cheap or not; may be repeated."),
    ] = None,
) -> None:
    """Train what is cheap, read the records of the rest, and write docs/results.md.

    Models are kept in build/results/; a run that is complete there is not repeated, and one that
    was interrupted goes on. Each leaves a record in docs/results/, from which the page is made.
    """
    torch.set_num_threads(1)
    logging.getLogger("golden").setLevel(logging.ERROR)
    try:
        works = _works(_chosen(train, only or []), data)
        failed = _work(works, jobs)
        page.write(record.load_all(record.FOLDER))
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on")
        raise typer.Exit(130) from None
    except (ValueError, OSError) as error:
        console.print(f"error: {error}")
        raise typer.Exit(1) from None
    console.print(f"wrote {page.PAGE}, {page.FIGURE}")
    if failed:
        raise typer.Exit(1)


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
    """The runs that are to be made; says which cannot be."""
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
            found = work.make() if not work.done() else record.load(work.record)
            found.save(record.FOLDER)
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


if __name__ == "__main__":
    app()
