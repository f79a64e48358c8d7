"""``egru tune``: quantisation-aware training of a model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from egru_cli.console import console
from egru_cli.training_options import Data, Overwrite, Resume, Threads, prepare, with_options_of
from golden.recipe import Tuning


@with_options_of(Tuning)
def main(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="Model file of an EGRU, or the name of a shipped model."
        ),
    ],
    data: Data = None,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Model file to write.", show_default="MODEL-Nbit.safetensors"
        ),
    ] = None,
    threads: Threads = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    **choices: Any,
) -> None:
    """Fine-tune MODEL with quantised weights (quantisation-aware training).

    The forward pass computes exactly what the hardware computes. Settings that have no option
    here are the same as in the original training of MODEL. Writes the same kinds of file as egru
    train, and can likewise run with several processes.
    """
    tuning = Tuning(**choices)
    prepare(threads)

    from golden.training import Files, tune

    # Models tuned from a shipped one, which is given by name, do not belong beside it.
    place = model if model.exists() else Path("runs") / model
    files = Files(out or place.with_name(f"{model.stem}-{tuning.weight_bits}bit.safetensors"))
    tune(model, tuning, files, resume, console.is_terminal, data, overwrite)
