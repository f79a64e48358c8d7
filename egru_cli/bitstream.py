"""``egru bitstream``: a bitstream that holds a model."""

import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from boards import ulx3s
from boards.build import BITSTREAM, build
from boards.fpga_tools import BuildError, Tools
from boards.utilization import Report
from egru_cli.console import console, results
from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from golden.model_file import find, load

BOARDS = {"ulx3s": ulx3s}


def main(
    board: Annotated[
        str, typer.Argument(metavar="BOARD", help=f"Board, one of: {', '.join(BOARDS)}.")
    ] = "ulx3s",
    variant: Annotated[str, typer.Option(help="FPGA on the board.")] = "85F",
    model: Annotated[
        str, typer.Option(help="Name of a shipped model, or a model file.")
    ] = "mnist1d",
    placement_seed: Annotated[int, typer.Option(min=0, help="Seed of place and route.")] = 2,
    frequency: Annotated[float, typer.Option(min=1, help="Clock frequency in MHz.")] = 80,
    out: Annotated[Path, typer.Option(help="Folder of all builds.")] = Path("build"),
) -> None:
    """Build OUT/BOARD-VARIANT/egru.bit, a bitstream for BOARD that holds a model.

    Writes report.json beside it. There is no bitstream if the design does not fit or misses its
    clock.
    """
    variant = variant.upper()
    start = time.monotonic()

    def progress(step: str) -> None:
        console.print(f"{time.monotonic() - start:5.0f} s  {step}")

    target = _one_of(BOARDS, board, "board")
    platform = _one_of(target.PLATFORMS, variant, f"variant of {board}")
    name = f"{board}-{variant.lower()}"
    target.check_clock(frequency)
    path = find(model)
    image = build_image(load(path).twin(), config := preset(name))
    tools = Tools.find()
    progress(
        "native tools"
        if tools.native
        else "YoWASP's tools, which compile themselves for some minutes at their first call"
    )
    versions = tools.versions()

    directory = out / name
    (directory / "report.json").unlink(missing_ok=True)
    report = build(
        platform(),
        target.Top(config, image, frequency),
        directory,
        mhz=frequency,
        seed=placement_seed,
        tools=tools,
        progress=progress,
    )
    seconds = time.monotonic() - start
    results.print(_table(report, f"{directory / BITSTREAM}, after {seconds:.0f} s"))
    facts = {
        "board": board,
        "variant": variant,
        "model": {"file": model, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "mhz": {"achieved": report.achieved, "demanded": report.demanded},
        "resources": {name: asdict(use) for name, use in report.resources.items()},
        "placement_seed": placement_seed,
        "tools": versions,
        "seconds": round(seconds, 1),
    }
    (directory / "report.json").write_text(json.dumps(facts, indent=2) + "\n")


def _one_of(table: dict, key: str, what: str):
    if key not in table:
        raise BuildError(f"{key!r} is not a {what}: expected one of {', '.join(table)}.")
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
