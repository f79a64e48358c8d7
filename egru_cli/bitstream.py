"""``egru bitstream``: a bitstream that holds a model."""

import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from boards import BOARDS, build
from boards import find as find_board
from boards.ecp5.utilization import Utilization
from egru_cli.console import console, results
from egru_hw.contract.config import preset
from golden import output
from golden.model_file import find as find_model
from golden.model_file import load


def main(
    board: Annotated[
        str, typer.Argument(metavar="BOARD", help=f"Board, one of: {', '.join(BOARDS)}.")
    ] = "ulx3s",
    variant: Annotated[str, typer.Option(help="FPGA variant of the board.")] = "85F",
    model: Annotated[
        str, typer.Option(help="Name of a shipped model, or a model file.")
    ] = "mnist1d",
    placement_seed: Annotated[
        int, typer.Option(min=0, max=(1 << 64) - 1, help="Random seed for placement.")
    ] = 2,
    frequency: Annotated[
        float | None,
        typer.Option(min=1, help="Clock frequency in MHz.", show_default="the board's default"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Parent folder of all builds.")] = Path("build"),
) -> None:
    """Build OUT/BOARD-VARIANT/egru.bit, a bitstream for BOARD that contains a model.

    Writes report.json next to it. Fails without writing a bitstream if the design does not fit
    or does not meet timing.
    """
    target, path, start = find_board(board), find_model(model), time.monotonic()
    chosen = target.variant(variant)
    report = out / f"{board}-{variant.lower()}" / "report.json"
    output.check(report)
    output.target(report).unlink(missing_ok=True)
    done = build(
        target,
        variant,
        load(path).twin(),
        out,
        mhz=frequency,
        placement_seed=placement_seed,
        progress=lambda step: console.print(f"{time.monotonic() - start:5.0f} s  {step}"),
    )
    found = done.utilization
    results.print(_table(found, f"{done.bitstream}, after {done.seconds:.0f} s"))
    facts = {
        "board": board,
        "variant": variant.upper(),
        "config": asdict(preset(chosen.preset)),
        "model": {"file": model, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "mhz": {"achieved": found.achieved, "demanded": found.demanded},
        "resources": {name: asdict(use) for name, use in found.resources.items()},
        "placement_seed": placement_seed,
        "tools": done.tools,
        "seconds": round(done.seconds, 1),
    }
    output.write(report, json.dumps(facts, indent=2) + "\n")


def _table(report: Utilization, title: str) -> Table:
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
