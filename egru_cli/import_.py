"""``egru import``: a model file from a state dict of EvNN's EGRU or torch.nn.GRU."""

from pathlib import Path
from typing import Annotated

import typer

from egru_cli.console import console
from egru_cli.training_options import Data, Overwrite, Threads, prepare
from golden.tasks import find
from golden.tasks.options import parse, with_options
from golden.tasks.own_data import OwnData


def main(
    state: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="State dict of the recurrent layers and the linear read-out: .safetensors, or a "
            "file of torch.save.",
        ),
    ],
    task: Annotated[
        str,
        typer.Argument(metavar="[TASK]", help="Task that it was trained on, as for egru train."),
    ] = OwnData.name,
    data: Data = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            metavar="NAME=VALUE",
            help="Task option, as for egru train; can be repeated.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .npz file of inputs (N, T, C) and the network's outputs, which are compared.",
            show_default="none",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Model file to write.", show_default="runs/FILE.safetensors"
        ),
    ] = None,
    threads: Threads = 1,
    overwrite: Overwrite = False,
) -> None:
    """Make a model file of a network that was trained elsewhere.

    FILE holds the layers of an EGRU of EvNN, or a torch.nn.GRU, and one linear read-out. An EGRU
    is quantised to 8 bits on training sequences of TASK; a GRU has no events, and so no integer
    model. Both are evaluated on the test set. Own data are read as they are, without scaling.
    """
    chosen = with_options(find(task), data, parse(option or []))
    prepare(threads)

    from golden.training import Files, adopt

    files = Files(out or Path("runs") / f"{state.stem}.safetensors")
    adopt(state, chosen, files, check, overwrite)
    console.print(f"wrote {files.model}")
