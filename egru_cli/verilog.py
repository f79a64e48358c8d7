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
            help="Presets to write, each of which sets the size of the accelerator.",
            show_default=" ".join(PUBLISHED),
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("rtl"),
) -> None:
    """Write one Verilog file of the accelerator for each PRESET.

    The memories are not initialised, and the top module is called egru.
    """
    for path in write(out, tuple(presets or PUBLISHED)):
        console.print(f"wrote {path}")
