"""``egru eval``: the scores of a model on its task's test set."""

import json
from pathlib import Path
from typing import Annotated

import typer

from egru_cli.budget import budget_of, print_budget
from egru_cli.training_options import Data, Threads, prepare
from golden.model_file import load
from golden.tasks import of_model
from golden.tasks.checks import check_model


def main(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model file, or the name of a shipped model.")
    ],
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
    budget: Annotated[
        bool,
        typer.Option(
            "--budget",
            help="Show what each stage from the float network to the integer model costs, how the "
            "events of each layer differ, and how near accumulators come to their limits.",
        ),
    ] = False,
    rtl: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="With --budget: simulate the RTL too, on N randomly chosen test sequences.",
            show_default="none",
        ),
    ] = None,
    threads: Threads = 1,
) -> None:
    """Evaluate MODEL on its task's test set: loss, accuracy or R², and activity.

    If the file contains an integer model, it is evaluated as well as the float network.
    """
    if rtl and not budget:
        raise ValueError("--rtl has no effect without --budget: add it, or leave out --rtl")
    prepare(threads)

    from golden.evaluation import evaluate, in_words

    file = load(model)
    task = of_model(file.path, file.config, data)
    check_model(task, file.config, file.network_config)
    if budget:
        found = budget_of(file, task, rtl)
        if as_json:
            print(json.dumps(found, indent=2))
        else:
            print_budget(found, task.objective)
        return
    results = evaluate(task, file.network(), file.integer)
    if as_json:
        print(json.dumps({"model": str(model), "task": task.name, **results}, indent=2))
    else:
        print(f"{model}, {task.name}\n{in_words(results, task.objective)}")
