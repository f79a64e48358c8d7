"""The design as Verilog: ``make rtl`` writes every preset's to ``rtl/``."""

from pathlib import Path
from typing import Annotated

import typer
from amaranth.back import verilog

from egru_hw.contract.config import Config, preset
from egru_hw.gateware.accelerator import Accelerator

TOP = "egru"
PUBLISHED = ("ulx3s-12f", "ulx3s-45f", "ulx3s-85f")


def emit(config: Config) -> str:
    """Verilog of the accelerator, its memories empty; the top module is ``egru``.

    The text depends on the design alone, not on where or when it is emitted.
    """
    return verilog.convert(Accelerator(config), name=TOP, emit_src=False, strip_internal_attrs=True)


def file_name(preset_name: str) -> str:
    """Where the Verilog of a preset lies in ``rtl/``."""
    return f"{TOP}_{preset_name.replace('-', '_')}.v"


def main(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("rtl"),
) -> None:
    """Write the Verilog of each board's preset to a file of its name."""
    out.mkdir(parents=True, exist_ok=True)
    for name in PUBLISHED:
        path = out / file_name(name)
        path.write_text(emit(preset(name)))
        print(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
