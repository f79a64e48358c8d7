"""``egru verilog``: the accelerator as Verilog."""

from pathlib import Path
from typing import Annotated

import typer

from egru_cli.console import console
from egru_hw.gateware.verilog import PUBLISHED, write


def main(
    presets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PRESET",
            help="Presets of the accelerator's sizes.",
            show_default=" ".join(PUBLISHED),
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("rtl"),
) -> None:
    """Write the accelerator with the sizes of each PRESET as one Verilog file.

    The memories are empty, and the top module is called egru.
    """
    for path in write(out, tuple(presets or PUBLISHED)):
        console.print(f"wrote {path}")
