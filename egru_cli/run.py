"""``egru run``: a model on a device, compared with the integer model."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from egru_cli import sequences as files
from egru_cli.console import console, results
from egru_cli.html import Html, write_page
from egru_cli.options import Model, Sequences, TaskData
from egru_cli.port import Port, connected, link_facts
from egru_cli.progress import progress
from egru_cli.sim import choose, metrics
from egru_hw.host.device import Device
from egru_hw.host.replies import HardwareResult
from golden import output
from golden.integer import IntegerResult
from golden.lengths import checked
from golden.model_file import load
from golden.tasks import of_model
from golden.tasks.checks import check_model
from sim import report as reports
from sim.backends import Progress
from sim.comparison import compare
from sim.simulation import Simulation, bound

BATCH = 1 << 13
"""Steps that are compared at once, while the device does the next."""


def main(
    model: Model = "mnist1d",
    port: Port = None,
    data: TaskData = None,
    sequences: Sequences = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Random seed for the choice of sequences.", show_default="2"),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Run these sequences instead: .npy, .npz (the only array, or the one named "
            "inputs, and lengths) or .csv (one line per step, with the titles sequence and step "
            "for several sequences).",
            show_default=False,
        ),
    ] = None,
    events: Annotated[
        bool, typer.Option(help="Report, and compare, every event: more crosses the line.")
    ] = True,
    check: Annotated[bool, typer.Option(help="Compare with the integer model.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("build/run"),
    html: Html = None,
) -> None:
    """Run MODEL on a device, on test sequences of its task or on your own.

    Compares every event, state and output with the integer model, bit for bit. If any differ,
    prints the first mismatch and exits with status 1. Writes OUT/report.json and, if events are
    reported and compared, OUT/raster.png.
    """
    file = load(model)
    integer = file.twin()
    if inputs:
        for name, value in (("data", data), ("sequences", sequences), ("seed", seed)):
            if value is not None:
                raise ValueError(f"--{name} has no effect with --input: leave one of them out")
        given, lengths = files.read(inputs, integer.input_size)
        played, targets = file.preparation(given), None
    else:
        task = of_model(file.path, file.config, data)
        check_model(task, file.config, file.network_config)
        split = choose(task, sequences, 2 if seed is None else seed)
        played, targets, lengths = split.inputs, split.targets, split.lengths
    raw = integer.checked_inputs(integer.quantize_inputs(played, lengths))
    lengths = checked(lengths, *raw.shape[:2])
    report_path, raster = out / "report.json", out / "raster.png"
    output.check(report_path, raster)
    with connected(port) as device, progress() as show:
        show("loading", None)
        device.load(integer)
        before, begin = device.line, time.monotonic()
        hardware, golden = _run(device, raw, lengths, events, check, show)
        after, seconds = device.line, time.monotonic() - begin
        presets = device.info().presets
    report = {
        "model": model,
        "preset": " or ".join(presets) or "no preset",
        **reports.measurements(hardware, integer, device.config),
        "seconds": round(seconds, 2),
        "sequences_per_second": len(hardware.outputs) / seconds,
    }
    if before and after:
        report["link"] = link_facts(after - before)
    if targets is not None:
        outputs = {"integer": golden.outputs} if golden else {}
        outputs["device"] = hardware.outputs
        done = targets[: len(hardware.outputs)]
        report[file.objective.metric] = metrics(file, hardware.lengths, done, **outputs)
    first = None
    written = [report_path]
    if golden:
        simulation = Simulation(
            golden=golden,
            hardware=hardware,
            comparison=compare(golden, hardware),
            model=integer,
            config=device.config,
            bound=bound(golden, device.config),
            seconds=seconds,
        )
        report |= reports.summary(simulation)
        if first := simulation.comparison.first:
            console.print(f"mismatch: first {first}")
        if events:
            reports.plot_raster(simulation, first.sequence if first else 0, raster)
            written.append(raster)
    rows = reports.print_table(report, file.objective, results)
    reports.write_json(report, report_path)
    console.print(f"wrote {', '.join(map(str, written))}")
    if html:
        from egru_cli.report.pages import Outcome, of_sequences

        shown = first.sequence if first else 0
        outcome = Outcome(integer, device.config, golden, hardware, targets, shown)
        write_page(html, of_sequences(report, rows, outcome, file))
    if first:
        raise typer.Exit(1)


def _run(
    device: Device,
    raw: np.ndarray,
    lengths: np.ndarray,
    events: bool,
    check: bool,
    show: Progress,
) -> tuple[HardwareResult, IntegerResult | None]:
    """Run ``raw`` (N, T, C) with ``lengths`` (N,); to check, also on the integer model, up to the
    first difference."""
    size = max(1, BATCH // raw.shape[1])
    parts = [slice(begin, begin + size) for begin in range(0, len(raw), size)]
    batches = [(raw[part], lengths[part]) for part in parts]
    hardware: list[HardwareResult] = []
    golden: list[IntegerResult] = []
    for batch, result in zip(batches, device.batches(batches, events), strict=True):
        hardware.append(result)
        show("running", len(hardware) / len(batches))
        if check:
            golden.append(device.model.run(batch[0], lengths=batch[1]))
            if compare(golden[-1], result).mismatches:
                break
    return HardwareResult.joined(hardware), IntegerResult.joined(golden) if golden else None
