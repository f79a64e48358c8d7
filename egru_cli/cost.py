"""``egru cost``: what a model costs on the accelerator, computed from its events."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from boards.ulx3s import BOARD
from egru_cli.console import console, results
from egru_cli.html import Html, write_page
from egru_cli.options import Model, Preset, TaskData
from egru_cli.sim import choose
from egru_cli.trace import Trace, write_trace
from egru_hw.contract.config import Config
from egru_hw.contract.config import preset as preset_of
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import Counter
from egru_hw.cost.cycles import Cost, cost
from golden import output
from golden.integer import IntegerEGRU
from golden.model_file import load
from golden.tasks import of_model
from golden.tasks.checks import check_model
from sim.report import dense_macs, write_json
from sim.simulation import DEFAULT_PRESET


def main(
    model: Model = "mnist1d",
    data: TaskData = None,
    sequences: Annotated[
        int, typer.Option(min=1, help="Number of randomly chosen test sequences.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the choice of sequences.")] = 2,
    preset: Preset = DEFAULT_PRESET,
    json: Annotated[
        Path | None, typer.Option(help="Also write the figures to this file.", show_default=False)
    ] = None,
    trace: Trace = None,
    html: Html = None,
) -> None:
    """Compute what test sequences of MODEL's task cost on the accelerator.

    Runs the integer model only. The cycles are those that the accelerator counts if it never waits
    for the host. See docs/cost.md.
    """
    file = load(model)
    integer, task = file.twin(), of_model(file.path, file.config, data)
    check_model(task, file.config, file.network_config)
    config = preset_of(preset)
    build_image(integer, config)  # refuses a model that does not fit
    output.check(*filter(None, (json, trace)))
    inputs, targets = choose(task, sequences, seed)
    result = integer.run(integer.quantize_inputs(inputs))
    found = cost(integer, result, config)
    figures = {
        "model": model,
        "preset": preset,
        "seed": seed,
        **summary(found, integer, config, BOARD.frequency),
    }
    rows = print_table(figures)
    if json:
        write_json(figures, json)
        console.print(f"wrote {json}")
    if html:
        from egru_cli.report.pages import Outcome, of_sequences

        outcome = Outcome(integer, config, result, None, targets)
        write_page(html, of_sequences(figures, rows, outcome, file))
    if trace:
        write_trace(trace, integer, result, config, f"{model} on {preset}")


def summary(found: Cost, model: IntegerEGRU, config: Config, mhz: float) -> dict[str, Any]:
    """Every figure, ready for JSON, for a clock of ``mhz``."""
    steps, counters = found.latency.size, found.counters
    cycles = counters[Counter.CYCLES] / steps
    rows = counters[Counter.ROWS] / steps
    macs, dense = counters[Counter.MACS] / steps, dense_macs(model)
    latency = found.latency
    return {
        "sequences": latency.shape[0],
        "steps_per_sequence": latency.shape[1],
        "clock_mhz": mhz,
        "cycles_per_step": cycles,
        "latency_mean": float(latency.mean()),
        "latency_99_percent": float(np.quantile(latency, 0.99, method="higher")),
        "latency_worst": int(latency.max()),
        "lanes_busy": rows / cycles,
        "weight_rows_per_step": rows,
        "weight_bytes_per_step": rows * config.row_bits / 8,
        "macs_per_step": macs,
        "dense_macs_per_step": dense,
        "performed_gops": 2e-3 * macs * mhz / cycles,
        "effective_gops": 2e-3 * dense * mhz / cycles,
        "counters": {counter.name.lower(): value for counter, value in counters.items()},
        "config": asdict(config),
    }


def print_table(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Print the short table; returns its rows."""
    mhz = figures["clock_mhz"]
    table = Table(
        title=f"{figures['model']} on {figures['preset']}, {mhz:g} MHz", title_justify="left"
    )
    table.add_column("quantity")
    table.add_column("value", justify="right")

    def time(cycles: float) -> str:
        return f"{cycles:.1f} ({cycles / mhz:.2f} us)"

    share = figures["macs_per_step"] / figures["dense_macs_per_step"]
    rows = [
        ("sequences x steps", f"{figures['sequences']} x {figures['steps_per_sequence']}"),
        ("cycles per step", time(figures["cycles_per_step"])),
        ("latency of a step, mean", time(figures["latency_mean"])),
        ("latency of a step, 99 %", time(figures["latency_99_percent"])),
        ("latency of a step, worst", time(figures["latency_worst"])),
        ("lanes busy", f"{figures['lanes_busy']:.1%}"),
        ("rows of weights per step", f"{figures['weight_rows_per_step']:.1f}"),
        ("bytes of weights per step", f"{figures['weight_bytes_per_step']:.0f}"),
        ("multiply-accumulates per step", f"{figures['macs_per_step']:.0f} ({share:.1%} of dense)"),
        ("GOp/s performed", f"{figures['performed_gops']:.1f}"),
        ("GOp/s effective, as a dense network", f"{figures['effective_gops']:.1f}"),
    ]
    for row in rows:
        table.add_row(*row)
    results.print(table)
    return rows
