"""The option ``--trace``: the timeline of a sequence as a file."""

import json
from pathlib import Path
from typing import Annotated

import typer

from boards.ulx3s import BOARD
from egru_cli.console import console
from egru_hw.contract.config import Config
from egru_hw.cost.timeline import timeline
from egru_hw.cost.trace import trace
from golden import output
from golden.integer import IntegerEGRU, IntegerResult

Trace = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Also write what each unit does in every cycle of the first sequence, as a trace for "
        "Perfetto (ui.perfetto.dev).",
        show_default="none",
    ),
]


def write_trace(
    path: Path, model: IntegerEGRU, result: IntegerResult, config: Config, title: str
) -> None:
    """Write the trace of the first sequence of ``result`` at the board's clock."""
    found = trace(timeline(model, result, config), BOARD.frequency, title)
    output.write(path, json.dumps(found) + "\n")
    console.print(f"wrote {path}")
