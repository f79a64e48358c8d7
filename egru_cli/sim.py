"""``egru sim``: a model on the simulated accelerator, compared with the integer model."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from egru_cli.console import console, results
from egru_cli.html import Html, write_page
from egru_cli.options import Model, Preset, Sequences, TaskData
from egru_cli.progress import progress
from egru_cli.trace import Trace, write_trace
from golden import output
from golden.model_file import ModelFile, load
from golden.tasks import Split, Task, of_model
from golden.tasks.checks import check_model
from sim import report as reports
from sim.backends.verilator_install import can_write_fst
from sim.simulation import BUILD, DEFAULT_PRESET, run
from sim.stimulus import WAVES_LIMIT

STREAM_STEPS = 100
"""Length of the sequences that a stream is cut into."""

USUAL = 100
"""Sequences that are chosen if the user does not tell how many."""


def main(
    model: Model = "mnist1d",
    data: TaskData = None,
    sequences: Sequences = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed for the choice of sequences and for the stalls.")
    ] = 2,
    stall: Annotated[
        float,
        typer.Option(
            help="Probability in [0, 1) that a stream of the accelerator stalls in a given cycle."
        ),
    ] = 0.0,
    waves: Annotated[
        bool,
        typer.Option(
            "--waves",
            help="Record waveforms, at most 1 GB, to OUT/egru.fst, or to OUT/egru.vcd if lz4.h and "
            "zlib.h are not installed.",
        ),
    ] = False,
    preset: Preset = DEFAULT_PRESET,
    out: Annotated[
        Path, typer.Option(help="Folder for the report and the compiled simulations.")
    ] = BUILD,
    trace: Trace = None,
    html: Html = None,
) -> None:
    """Run test sequences of MODEL's task on the simulated accelerator.

    Compares every event, state and output with the integer model, bit for bit. If any differ,
    prints the first mismatch and exits with status 1. Writes OUT/report.json and OUT/raster.png.
    """
    file = load(model)
    integer, task = file.twin(), of_model(file.path, file.config, data)
    check_model(task, file.config, file.network_config)
    recording = out / f"egru.{'fst' if can_write_fst() else 'vcd'}" if waves else None
    report_path, raster = out / "report.json", out / "raster.png"
    output.check(report_path, raster, *filter(None, [trace]))
    if trace and stall:
        raise ValueError(
            "--trace shows an accelerator that never waits for the host: leave out --stall, or "
            "--trace"
        )
    split = choose(task, sequences, seed)
    with progress() as show:
        simulation = run(
            integer,
            split.inputs,
            lengths=split.lengths,
            waves=recording,
            stall=stall,
            seed=seed,
            config=preset,
            build=out,
            progress=show,
        )
    report = {
        "model": model,
        "preset": preset,
        "seed": seed,
        "stall": stall,
        **reports.summary(simulation),
        file.objective.metric: metrics(
            file,
            simulation.golden.lengths,
            split.targets,
            integer=simulation.golden.outputs,
            RTL=simulation.hardware.outputs,
        ),
    }
    rows = reports.print_table(report, file.objective, results)
    reports.write_json(report, report_path)
    first = simulation.comparison.first
    reports.plot_raster(simulation, first.sequence if first else 0, raster)
    console.print(f"wrote {report_path}, {raster}")
    if recording:
        cut = recording.stat().st_size >= WAVES_LIMIT
        console.print(f"wrote {recording}" + (", which ends early, at its limit of 1 GB" * cut))
    if html:
        from egru_cli.report.pages import Outcome, of_sequences

        outcome = Outcome(
            simulation.model,
            simulation.config,
            simulation.golden,
            simulation.hardware,
            split.targets,
            first.sequence if first else 0,
        )
        write_page(html, of_sequences(report, rows, outcome, file))
    if trace:
        title = f"{model} on {preset}"
        write_trace(trace, simulation.model, simulation.golden, simulation.config, title)
    if first:
        console.print(f"mismatch: first {first}")
        raise typer.Exit(1)


def choose(task: Task, count: int | None, seed: int) -> Split:
    """Random test sequences, with real inputs (N, T, C); :data:`USUAL` unless there are fewer, if
    ``count`` is None."""
    split = task.test()
    if task.stream:
        steps = split.inputs.shape[1] // STREAM_STEPS * STREAM_STEPS
        split = Split(*(a[0, :steps].reshape(-1, STREAM_STEPS, *a.shape[2:]) for a in split))
    total = len(split.inputs)
    count = count or min(USUAL, total)
    if count > total:
        raise ValueError(f"--sequences {count}: {task.name} has {total} test sequences")
    split = split.take(np.random.default_rng(seed).permutation(total)[:count])
    if split.inputs.dtype.kind != "f":  # symbols, which the model takes one-hot
        split = replace(split, inputs=np.eye(task.input_size, dtype=np.float32)[split.inputs])
    return split


def metrics(
    file: ModelFile, lengths: np.ndarray, targets: np.ndarray, **outputs: np.ndarray
) -> dict[str, float]:
    """Accuracy or R² of each of ``outputs``, the read-out's sums of sequences of ``lengths`` (N,).

    The float network needs PyTorch, so its metric is the one recorded in training.
    """
    found, objective, model = {}, file.objective, file.twin()
    recorded = file.config.get("results", {}).get(objective.metric)
    if isinstance(recorded, list):  # as egru train writes it
        found["float (whole test set)"] = recorded[0]
    for name, sums in outputs.items():
        logits = model.logits(sums, lengths)
        found[name] = objective.measure(np.array(objective.sums(logits, targets)))
    return found
