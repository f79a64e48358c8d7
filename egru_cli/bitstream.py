"""Command line: ``python -m boards ulx3s --variant 85F`` makes a bitstream."""

import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import golden
from boards import ulx3s
from boards.build import BITSTREAM, build
from boards.fpga_tools import BuildError, Tools
from boards.utilization import Report
from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from golden import model_file

BOARDS = {"ulx3s": ulx3s}
SHIPPED_MODEL = Path(golden.__file__).parent / "models" / "mnist1d.safetensors"

console = Console(stderr=True, highlight=False)


def main(
    board: Annotated[str, typer.Argument(help=f"One of: {', '.join(BOARDS)}.")],
    variant: Annotated[str, typer.Option(help="FPGA on it.")] = "85F",
    model: Annotated[
        Path, typer.Option(help="Model in the bitstream.", show_default="the shipped one")
    ] = SHIPPED_MODEL,
    seed: Annotated[int, typer.Option(min=0, help="Of place and route.")] = 2,
    frequency: Annotated[float, typer.Option(min=1, help="Clock in MHz.")] = 80,
    out: Annotated[Path, typer.Option(help="Folder of all builds.")] = Path("build"),
) -> None:
    """Build OUT/BOARD-VARIANT/egru.bit and report.json beside it.

    There is no bitstream if the design does not fit, or misses its clock.
    """
    try:
        _build(board, variant.upper(), model, seed, frequency, out)
    except (BuildError, ValueError) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _build(board: str, variant: str, model: Path, seed: int, mhz: float, out: Path) -> None:
    start = time.monotonic()

    def progress(step: str) -> None:
        console.print(f"{time.monotonic() - start:5.0f} s  {step}", soft_wrap=True)

    target = _one_of(BOARDS, board, "board")
    platform = _one_of(target.PLATFORMS, variant, f"variant of {board}")
    name = f"{board}-{variant.lower()}"
    target.check_clock(mhz)
    image = build_image(model_file.load(model).twin(), config := preset(name))
    tools = Tools.find()
    progress(
        "native tools"
        if tools.native
        else "YoWASP's tools; when first called, they compile themselves for some minutes"
    )
    versions = tools.versions()

    directory = out / name
    (directory / "report.json").unlink(missing_ok=True)
    report = build(
        platform(),
        target.Top(config, image, mhz),
        directory,
        mhz=mhz,
        seed=seed,
        tools=tools,
        progress=progress,
    )
    seconds = time.monotonic() - start
    console.print(_table(report, f"{directory / BITSTREAM}, after {seconds:.0f} s"))
    facts = {
        "board": board,
        "variant": variant,
        "model": {"file": str(model), "sha256": hashlib.sha256(model.read_bytes()).hexdigest()},
        "mhz": {"achieved": report.achieved, "demanded": report.demanded},
        "resources": {name: asdict(use) for name, use in report.resources.items()},
        "seed": seed,
        "tools": versions,
        "seconds": round(seconds, 1),
    }
    (directory / "report.json").write_text(json.dumps(facts, indent=2) + "\n")


def _one_of(table: dict, key: str, what: str):
    if key not in table:
        raise BuildError(f"{key!r} is no {what}; there is {', '.join(table)}.")
    return table[key]


def _table(report: Report, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in ("used", "available", "share"):
        table.add_column(heading, justify="right")
    for name, use in report.resources.items():
        share = f"{use.used / use.available:.0%}"
        table.add_row(name, str(use.used), str(use.available), share)
    table.add_section()
    share = f"{report.demanded / report.achieved:.0%}"
    table.add_row("MHz", f"{report.demanded:g}", f"{report.achieved:.1f}", share)
    return table


if __name__ == "__main__":
    typer.run(main)
