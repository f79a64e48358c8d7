"""Arguments and options that several subcommands have."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of a shipped model, or a model file.")
]

TaskData = Annotated[
    Path | None,
    typer.Option(
        help="File or folder with the data of the model's task, if the task needs any.",
        show_default=False,
    ),
]

Preset = Annotated[str, typer.Option(help="Preset that sets the size of the accelerator.")]

Sequences = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of randomly chosen test sequences.",
        show_default="100, or all if there are fewer",
    ),
]
