"""``egru eval``: the scores of a model on its task's test set."""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer

from egru_cli.shim import find
from golden.evaluation import check_vocabulary, evaluate, in_words
from golden.model_file import load
from golden.tasks import configure
from golden.training.recipes import Threads


def main(
    model: Annotated[str, typer.Argument(help="Model file, or the name of a shipped model.")],
    data: Annotated[Path | None, typer.Option(help="Where the task's files are.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    threads: Threads = 1,
) -> None:
    """Loss, accuracy and activity of the float network, and of its integer model if it has one."""
    torch.set_num_threads(threads)
    file = load(find(model))
    task = configure(file.config.get("task"), data=data, **file.config.get("options", {}))
    check_vocabulary(task, file.config)
    results = evaluate(task, file.network(), file.integer)
    if as_json:
        print(json.dumps({"model": str(model), "task": task.name, **results}, indent=2))
    else:
        print(f"{model}, {task.name}\n{in_words(results)}")
