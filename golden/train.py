"""Command line: ``python -m golden.train mnist1d`` trains, quantises, evaluates and saves."""

import csv
import io
import json
import logging
import shlex
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from golden import model_file
from golden.network import Network
from golden.quantization import compare, quantize
from golden.tasks import TASKS, Task
from golden.training import Epoch, Recipe, train

CALIBRATION_SEQUENCES = 500
DEFAULTS = Recipe()

app = typer.Typer(add_completion=False)
console = Console(stderr=True, highlight=False, soft_wrap=True)


def _task(name: str) -> Task:
    if name not in TASKS:
        raise typer.BadParameter(f"{name!r} is not one of: {', '.join(TASKS)}")
    return TASKS[name]


@app.command()
def main(
    task: Annotated[str, typer.Argument(help=f"What to train on: {', '.join(TASKS)}.")],
    hidden: Annotated[int, typer.Option(min=1, help="Units of the EGRU layer.")] = DEFAULTS.hidden,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = DEFAULTS.epochs,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same model.")] = DEFAULTS.seed,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Model file to write.  [default: runs/TASK.safetensors]"),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use only that many training sequences.")
    ] = None,
) -> None:
    """Train an EGRU, quantise it and evaluate both models on the test set.

    Beside the model file come a report (.json), the course of the training (.csv) and, while
    training, a checkpoint. Ctrl-C stops after the epoch; --resume goes on from there.
    """
    chosen = _task(task)
    out = out or Path("runs") / f"{task}.safetensors"
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    recipe = Recipe(hidden=hidden, epochs=epochs, seed=seed, limit=limit)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        build(chosen, recipe, out, resume)
    except KeyboardInterrupt:
        console.print(f"stopped; go on with --resume, from {_checkpoint(out)}")
        raise typer.Exit(130) from None
    except (ValueError, OSError) as error:
        console.print(f"error: {error}")
        raise typer.Exit(1) from None


def build(task: Task, recipe: Recipe, out: Path, resume: bool = False) -> dict:
    """Train, quantise, evaluate and write everything beside ``out``; returns the report."""
    start = time.monotonic()
    network, history = _train(task, recipe, out, resume)
    inputs, _ = task.train()
    integer = quantize(network, inputs[:CALIBRATION_SEQUENCES])
    # The test set is looked at once, here, by the last epoch's weights.
    test_inputs, test_labels = task.test()
    result = compare(network, integer, test_inputs, test_labels)
    console.print(f"test set of {len(test_labels)}:\n{result}")

    facts = {
        "task": task.name,
        "training": {"command": _command(task, recipe), **asdict(recipe)},
        "results": {**asdict(result), "test_sequences": len(test_labels)},
    }
    model_file.save(out, network, integer, facts)
    report = {
        **facts,
        "minutes": round((time.monotonic() - start) / 60, 1),
        "resumed": resume,
        "threads": torch.get_num_threads(),
        "versions": {
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    text = json.dumps(report, indent=2) + "\n"
    model_file.write_atomically(out.with_suffix(".json"), text.encode())
    model_file.write_atomically(out.with_suffix(".csv"), _table(history).encode())
    _checkpoint(out).unlink(missing_ok=True)
    console.print(f"wrote {out}")
    return report


def _train(task: Task, recipe: Recipe, out: Path, resume: bool) -> tuple[Network, list[Epoch]]:
    interrupted = False

    def interrupt(*_) -> None:
        nonlocal interrupted
        interrupted = True
        console.print("stopping after this epoch")

    def show(epoch: Epoch) -> None:
        progress.update(
            bar,
            completed=epoch.epoch,
            text=f"loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.2%}  "
            f"activity {epoch.activity:.2%}",
        )
        if interrupted:
            raise KeyboardInterrupt

    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
    )
    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("", total=recipe.epochs, text="")
            return train(task, recipe, _checkpoint(out), resume, show)
    finally:
        signal.signal(signal.SIGINT, previous)


def _checkpoint(out: Path) -> Path:
    return out.with_suffix(".checkpoint")


def _command(task: Task, recipe: Recipe) -> str:
    """The shortest command that gives this model; sums depend on the number of threads."""
    words = ["python", "-m", "golden.train", task.name]
    for name in ("hidden", "epochs", "seed", "limit"):
        if (value := getattr(recipe, name)) != getattr(DEFAULTS, name):
            words += [f"--{name}", str(value)]
    if torch.get_num_threads() > 1:
        words += ["--threads", str(torch.get_num_threads())]
    return shlex.join(words)


def _table(history: list[Epoch]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(asdict(history[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in history)
    return text.getvalue()


if __name__ == "__main__":
    app()
