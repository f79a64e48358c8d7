"""``egru tune``: quantisation-aware training of a model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from egru_cli.console import console
from egru_cli.training_options import Data, Resume, Threads, prepare, with_options_of
from golden.recipe import Tuning


@with_options_of(Tuning)
def main(
    model: Annotated[Path, typer.Argument(help="Model file to start from, of an EGRU.")],
    data: Data = None,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Model file to write.", show_default="MODEL-Nbit.safetensors"
        ),
    ] = None,
    threads: Threads = 1,
    resume: Resume = False,
    **choices: Any,
) -> None:
    """Continue the training of MODEL with quantised weights (quantisation-aware training).

    The forward pass is the integer model's own arithmetic, so that what is trained is what the
    hardware computes. Everything that is not an option is as in the training of MODEL. Writes
    the same files as egru train, and can run in several processes as well.
    """
    tuning = Tuning(**choices)
    prepare(threads)

    from golden.training import Files, tune

    # A shipped model is named without a path; what is tuned from it does not belong beside it.
    place = model if model.exists() else Path("runs") / model
    files = Files(out or place.with_name(f"{model.stem}-{tuning.weight_bits}bit.safetensors"))
    tune(model, tuning, files, resume, console.is_terminal, data)
