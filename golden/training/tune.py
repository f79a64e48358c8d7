"""Command line: ``python -m golden.training.tune FILE`` trains a model on, as its integers."""

import shlex
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, cast

import typer

from golden.evaluation import check_vocabulary, evaluate, has_twin, in_words
from golden.model_file import load
from golden.quantization.quantize import QuantizeConfig
from golden.quantization.quantized_network import QuantizedNetwork
from golden.tasks import configure
from golden.training.build import calibration, console, exits, interpreter, prepare, write
from golden.training.loop import Files, describe, is_first, train
from golden.training.recipes import LARGEST_SEED, Recipe, Threads

app = typer.Typer(add_completion=False)


@app.command()
def main(
    model: Annotated[Path, typer.Argument(help="Model file of an EGRU to start from.")],
    weight_bits: Annotated[int, typer.Option(min=2, max=8, help="Width of every weight.")] = 4,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 20,
    rate: Annotated[float, typer.Option(min=0.0, help="Peak learning rate.")] = 3e-3,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Same seed, same model.")] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Where the task's files are, if it has any.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Model file to write.  [default: FILE-Nbit.safetensors]"),
    ] = None,
    threads: Threads = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
) -> None:
    """Quantisation-aware training: the forward pass is the integer model's own arithmetic.

    Everything else is as in the training that made the model. Writes what that writes; may run
    as several processes, too.
    """
    files = Files(out or model.with_name(f"{model.stem}-{weight_bits}bit.safetensors"))
    prepare(threads)
    start = time.monotonic()
    with exits(files):
        file = load(model)
        network = file.network()
        if not has_twin(network):
            raise ValueError(f"{model} has no integer model to train: name one of an EGRU")
        task = configure(file.config.get("task"), data=data, **file.config.get("options", {}))
        check_vocabulary(task, file.config)
        first = file.config.get("training", {})
        names = {field.name for field in fields(Recipe)}
        recipe = replace(
            Recipe(**{name: value for name, value in first.items() if name in names}),
            epochs=epochs, rate=rate, seed=seed, weight_decay=0.0, target_from=0.0,
            target_until=0.0, patience=None,
        )  # fmt: skip
        started = QuantizedNetwork(
            network, calibration(task), QuantizeConfig(weight_bits=weight_bits)
        )
        trained, _ = train(task, recipe, files, resume, console if is_first() else None, started)
        quantized = cast(QuantizedNetwork, trained)
        if not is_first():  # one of several processes; the first does the rest
            return
        integer, refusal = None, None
        try:
            integer = quantized.integer()
        except ValueError as error:  # what was trained shall not be lost
            refusal = error
        # The test set is looked at once, here.
        results = evaluate(task, quantized.network, integer)
        console.print(f"test set:\n{in_words(results)}")
        words = [
            *interpreter(),
            "golden.training.tune",
            model.name,
            "--weight-bits",
            str(weight_bits),
        ]
        for name, value, usual in (("epochs", epochs, 20), ("rate", rate, 3e-3), ("seed", seed, 0)):
            words += [f"--{name}", str(value)] if value != usual else []
        facts = {
            "task": task.name,
            "options": describe(task)["options"],
            "vocabulary": task.vocabulary,
            "training": {"command": shlex.join(words), **asdict(recipe)},
            "before": {name: file.config.get(name) for name in ("training", "results")},
            "results": results,
        }
        minutes = round((time.monotonic() - start) / 60, 1)
        write(files, quantized.network, integer, facts, minutes=minutes, resumed=resume)
        if refusal:
            raise ValueError(f"{files.model} holds the float network only: {refusal}")


if __name__ == "__main__":
    app()
