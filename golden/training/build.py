"""Command line: ``python -m golden.training.build TASK`` trains, quantises, evaluates and saves."""

import inspect
import json
import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_type_hints

import numpy as np
import torch
import typer
from rich.console import Console

from golden import model_file
from golden.evaluation import evaluate, fold, has_twin, in_words, real_inputs, windows
from golden.integer.model import IntegerEGRU
from golden.network.word_network import AnyNetwork
from golden.quantization.quantize import quantize
from golden.tasks import TASKS, Split, Task, configure
from golden.training.loop import Files, describe, is_first, processes, train
from golden.training.recipes import Recipe, Threads, recipe_for

CALIBRATION_SEQUENCES = 500
CALIBRATION_STREAMS, CALIBRATION_STEPS = 20, 500
RECIPE_OPTIONS = get_type_hints(Recipe, include_extras=True)

app = typer.Typer(add_completion=False)
console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def _with_recipe_options(function: Callable) -> Callable:
    """Gives ``function``, in place of ``**recipe``, every field of Recipe as an option."""
    signature = inspect.signature(function)
    *own, _ = signature.parameters.values()
    options = []
    for name, hint in RECIPE_OPTIONS.items():
        kind, option = hint.__origin__, hint.__metadata__[0]
        options.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind | None, option],
            )
        )
    function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in (*own, *options)}
    return function


@app.command()
@_with_recipe_options
def main(
    task: Annotated[str, typer.Argument(help=f"What to train on: {', '.join(TASKS)}.")],
    data: Annotated[
        Path | None, typer.Option(help="Where the task's files are, if it has any.")
    ] = None,
    encoding: Annotated[
        Literal["logmel", "events"] | None,
        typer.Option(help="digits: frames, or the events of their changes."),
    ] = None,
    scan: Annotated[
        Literal["rows", "pixels"] | None, typer.Option(help="smnist: what is a step.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Model file to write.  [default: runs/TASK.safetensors]"),
    ] = None,
    threads: Threads = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    **recipe: Any,
) -> None:
    """Train a network, quantise it and evaluate both models on the test set.

    Options that are left out come from the task's recipe (golden/recipes.py). Beside the model
    file come a report (.json), the course of the training (.csv, and .tensorboard/) and, while
    training, a checkpoint. Ctrl-C stops after the epoch; --resume goes on from there. Several
    processes: torchrun --nproc-per-node 2 -m golden.training.build TASK ...
    """
    if task not in TASKS:
        raise typer.BadParameter(f"{task!r} is not one of: {', '.join(TASKS)}")
    files = Files(out or Path("runs") / f"{task}.safetensors")
    prepare(threads)
    with exits(files):
        chosen = configure(task, data=data, encoding=encoding, scan=scan)
        given = {name: value for name, value in recipe.items() if value is not None}
        usual = recipe_for(chosen.recipe, given.get("model"))
        build(chosen, replace(usual, **given), files, resume)


def interpreter() -> list[str]:
    """The beginning of the command that runs as many processes as this one does."""
    count = processes()
    return ["python", "-m"] if count == 1 else ["torchrun", "--nproc-per-node", f"{count}", "-m"]


def prepare(threads: int) -> None:
    """Torch and the log as all trainings want them."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Nothing here reads memory that was not written: no need to fill it first, which costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


@contextmanager
def exits(files: Files) -> Iterator[None]:
    """Ends the program with a sentence where there would be a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        if files.checkpoint.exists():
            console.print(f"stopped; go on with --resume, from {files.checkpoint}")
        else:
            console.print("stopped before the end of an epoch: there is nothing to go on from")
        raise typer.Exit(130) from None
    except (ValueError, OSError) as error:
        console.print(f"error: {error}")
        raise typer.Exit(1) from None
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        console.print("error: there is not enough memory: try fewer units or a smaller batch")
        raise typer.Exit(1) from None


def build(task: Task, recipe: Recipe, files: Files, resume: bool = False) -> None:
    """Train, quantise, evaluate and write everything beside the model file."""
    start = time.monotonic()
    task.check()
    trained, _ = train(task, recipe, files, resume, console if is_first() else None)
    network = cast(AnyNetwork, trained)
    if not is_first():  # one of several processes; the first does the rest
        return
    integer, refusal = None, None
    if has_twin(network):
        try:
            integer = quantize(network, calibration(task))
        except ValueError as error:  # what was trained shall not be lost
            refusal = error
    # The test set is looked at once, here.
    results = evaluate(task, network, integer)
    console.print(f"test set:\n{in_words(results)}")
    facts = {
        "task": task.name,
        "options": describe(task)["options"],
        "vocabulary": task.vocabulary,
        "training": {"command": _command(task, recipe), **asdict(recipe)},
        "results": results,
    }
    write(
        files,
        network,
        integer,
        facts,
        minutes=round((time.monotonic() - start) / 60, 1),
        resumed=resume,
    )
    if refusal:
        raise ValueError(f"{files.model} holds the float network only: {refusal}")


def write(
    files: Files, network: AnyNetwork, integer: IntegerEGRU | None, facts: dict, **more: Any
) -> None:
    """The model file and its report, in place of the checkpoints."""
    report = {
        **facts,
        **more,
        "threads": torch.get_num_threads(),
        "versions": {
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    text = json.dumps(report, indent=2) + "\n"
    # The model last: where it is, everything is.
    model_file.write_atomically(files.report, text.encode())
    model_file.save(files.model, network, integer, facts)
    for path in (files.checkpoint, files.best):
        path.unlink(missing_ok=True)
    console.print(f"wrote {files.model}")


def calibration(task: Task) -> np.ndarray:
    """Training inputs (N, T, C) to choose scales by; of a stream some in a row."""
    split = task.everything()
    if task.stream:
        length = min(split.inputs.shape[1] // CALIBRATION_STREAMS, CALIBRATION_STEPS)
        split = Split(*(next(windows(fold(split, CALIBRATION_STREAMS), length))))
    return real_inputs(task, split.take(slice(CALIBRATION_SEQUENCES)))


def _command(task: Task, recipe: Recipe) -> str:
    """The shortest command that gives this model; sums depend on the number of threads."""
    words = [*interpreter(), "golden.training.build", task.name]
    for field in fields(task):
        if (value := getattr(task, field.name)) != field.default:
            words += [f"--{field.name}", value.name if isinstance(value, Path) else str(value)]
    usual = recipe_for(task.recipe, recipe.model)
    for field in fields(recipe):
        if (value := getattr(recipe, field.name)) != getattr(usual, field.name):
            words += [f"--{field.name.replace('_', '-')}", str(value)]
    if torch.get_num_threads() > 1:
        words += ["--threads", str(torch.get_num_threads())]
    return shlex.join(words)


if __name__ == "__main__":
    app()
