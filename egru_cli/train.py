"""``egru train``: from a task to a trained, quantised and evaluated model file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from egru_cli.console import console
from egru_cli.html import Html, write_page
from egru_cli.outlook import outlook
from egru_cli.training_options import Data, Overwrite, Resume, Threads, prepare, with_options_of
from golden.model_file import load
from golden.recipe import Recipe
from golden.tasks import TASKS, find
from golden.tasks.options import describe, parse, with_options
from golden.tasks.own_data import OwnData

OPTIONS = "; ".join(f"{name}: {text}" for name, task in TASKS.items() if (text := describe(task)))


@with_options_of(Recipe, default="from the task's recipe")
def main(
    task: Annotated[
        str,
        typer.Argument(
            metavar="[TASK]",
            help=f"Task to train on: {', '.join(TASKS)}, or your own FILE.py:CLASS.",
        ),
    ] = OwnData.name,
    data: Data = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            metavar="NAME=VALUE",
            help=f"Task option; can be repeated. Options of the shipped tasks: {OPTIONS}.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Model file to write.", show_default="runs/TASK.safetensors"
        ),
    ] = None,
    threads: Threads = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    html: Html = None,
    **choices: Any,
) -> None:
    """Train a network on TASK, quantise it to 8 bits, and evaluate both models on the test set.

    Without TASK, it is trained on your own sequences in --data FILE.npz or FILE.csv.

    Writes a model file and, beside it, a report (.json), the training history (.csv and
    .tensorboard/) and, during training, a checkpoint. Ctrl-C stops after the current epoch;
    repeat the command with --resume to continue. Files of an earlier training, finished or not,
    are replaced only with --overwrite.

    To train in several processes: torchrun --nproc-per-node 2 -m egru_cli train TASK ...
    """
    chosen = with_options(find(task), data, parse(option or []))
    given = {name: value for name, value in choices.items() if value is not None}
    recipe = replace(chosen.recipe_for(given.get("cell")), **given)
    recipe.check_effect(given, chosen)
    prepare(threads)

    from golden.training import Files, build
    from golden.training.processes import is_first

    files = Files(out or Path("runs") / f"{task.rpartition(':')[2]}.safetensors")
    if is_first() and (sentence := outlook(chosen, recipe)):
        console.print(f"note: {sentence}")
    if is_first() and isinstance(chosen, OwnData) and chosen.input_encoder:
        before, after = chosen.encoded_shares
        console.print(
            f"note: {after:.1%} of the input values are not zero, {before:.1%} before the encoder"
        )
    build(chosen, recipe, files, resume, console.is_terminal, overwrite)
    if html and is_first():
        from egru_cli.report.pages import of_training

        report = json.loads(files.report.read_text())
        write_page(html, of_training(report, files.history, load(files.model), chosen))
