"""Command line: ``python -m egru_cli.eval FILE`` scores a model file on its task's test set."""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from golden.evaluation import check_vocabulary, evaluate, in_words
from golden.model_file import load
from golden.tasks import configure
from golden.training.recipes import Threads

app = typer.Typer(add_completion=False)
console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


@app.command()
def main(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    data: Annotated[
        Path | None, typer.Option(help="Where the task's files are, if it has any.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    threads: Threads = 1,
) -> None:
    """Loss, accuracy and activity of the float network, and of its integer model if it has one."""
    torch.set_num_threads(threads)
    try:
        file = load(model)
        task = configure(file.config.get("task"), data=data, **file.config.get("options", {}))
        check_vocabulary(task, file.config)
        results = evaluate(task, file.network(), file.integer)
    except (ValueError, OSError) as error:
        console.print(f"error: {error}")
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps({"model": str(model), "task": task.name, **results}, indent=2))
    else:
        print(f"{model}, {task.name}\n{in_words(results)}")


if __name__ == "__main__":
    app()
