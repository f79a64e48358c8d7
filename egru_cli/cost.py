"""``egru cost``: what a model costs on the accelerator, computed from its events."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.table import Table

from boards import BOARDS
from boards import find as find_board
from egru_cli.console import console, results
from egru_cli.html import Html, write_page
from egru_cli.options import Model, Sequences, TaskData
from egru_cli.sim import choose
from egru_cli.trace import Trace, write_trace
from egru_hw.contract.config import preset as preset_of
from egru_hw.contract.image import build_image
from egru_hw.cost import search
from egru_hw.cost.area import variants
from egru_hw.cost.summary import summary
from golden import output
from golden.model_file import load
from golden.tasks import of_model
from golden.tasks.checks import check_model
from sim.report import write_json
from sim.simulation import DEFAULT_PRESET

if TYPE_CHECKING:
    from golden import Network

OUT = Path("build/cost")


def main(
    model: Model = "mnist1d",
    axes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE,VALUE",
            help="What --sweep varies: options of egru train, and weight_bits.",
            show_default=False,
        ),
    ] = None,
    data: TaskData = None,
    sequences: Sequences = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the choice of sequences.")] = 2,
    board: Annotated[str, typer.Option(help=f"Board, one of: {', '.join(BOARDS)}.")] = "ulx3s",
    preset: Annotated[
        str | None,
        typer.Option(
            help="Preset that sets the size of the accelerator.", show_default=DEFAULT_PRESET
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Also write the figures to this file.", show_default=False)
    ] = None,
    time_gru: Annotated[
        bool,
        typer.Option(
            "--time-gru",
            help="Also time a GRU of the same size, and the float model, on this processor. Needs "
            "PyTorch, and takes some seconds.",
        ),
    ] = False,
    searching: Annotated[
        bool,
        typer.Option("--search", help="Compare all presets and a grid of configurations."),
    ] = False,
    sweeping: Annotated[
        bool,
        typer.Option(
            "--sweep",
            help="Train MODEL's task again with every combination of the VALUEs, and compare. "
            "Models that an earlier sweep has left in OUT are not trained again.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for what --search and --sweep write.", show_default=str(OUT)),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="Processes of --search and --sweep.",
            show_default="number of cores",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Address of the scheduler of a Dask cluster that does the work of --search and "
            "--sweep instead. Needs the extra egru-hw[cluster].",
            show_default=False,
        ),
    ] = None,
    trace: Trace = None,
    html: Html = None,
) -> None:
    """Compute what test sequences of MODEL's task cost on the accelerator.

    Runs the integer model only. The cycles are those that the accelerator counts if it never waits
    for the host. Areas are from recorded builds, or interpolated between them; energies are
    estimates. See docs/cost.md.

    With --search or --sweep, writes the table to OUT/cost.json and a plot to OUT/cost.png.
    """
    many = searching or sweeping
    _refuse("without --sweep", not sweeping, axes=axes)
    _refuse("without --search or --sweep", not many, out=out, jobs=jobs, cluster=cluster)
    _refuse("with --search or --sweep", many, json=json, time_gru=time_gru, trace=trace, html=html)
    _refuse("with --search", searching, preset=preset)
    _refuse("with --cluster", bool(cluster), jobs=jobs)
    if sweeping and not axes:
        raise ValueError("--sweep needs MODEL and at least one NAME=VALUE,VALUE after it")
    file, target = load(model), find_board(board)
    name = preset or DEFAULT_PRESET
    candidate = search.Candidate(preset_of(name), name)
    if many:
        from egru_cli.explore import Exploration

        Exploration(
            model=model,
            file=file,
            data=data,
            sequences=sequences,
            seed=seed,
            board=target,
            candidate=None if searching else candidate,
            axes=axes or [],
            out=out or OUT,
        ).run(jobs, cluster)
        return
    integer, task = file.twin(), of_model(file.path, file.config, data)
    check_model(task, file.config, file.network_config)
    build_image(integer, candidate.config)  # refuses a model that does not fit
    output.check(*filter(None, (json, trace)))
    split = choose(task, sequences, seed)
    result = integer.run(integer.quantize_inputs(split.inputs), lengths=split.lengths)
    parts = variants(target.name)
    point = search.evaluate(candidate, integer, result, target.frequency, parts)
    figures = {
        "model": model,
        "preset": name,
        "board": target.name,
        "seed": seed,
        **summary(point, integer, target.frequency),
    }
    if time_gru:
        from golden.stepping import step_seconds

        network = cast("Network", file.network())  # as it has an integer model
        figures["processor_seconds_per_step"] = step_seconds(network, split.inputs[0])
    rows = print_table(figures)
    if json:
        write_json(figures, json)
        console.print(f"wrote {json}")
    if html:
        from egru_cli.report.pages import Outcome, of_sequences

        outcome = Outcome(integer, candidate.config, result, None, split.targets)
        write_page(html, of_sequences(figures, rows, outcome, file))
    if trace:
        write_trace(trace, integer, result, candidate.config, f"{model} on {name}")


def _refuse(why: str, applies: bool, **options: Any) -> None:
    """``ValueError`` if one of ``options`` is given where it has no effect."""
    for name, value in options.items():
        if applies and value:
            option = "NAME=VALUE" if name == "axes" else f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} has no effect {why}: leave it out")


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

    def nanojoules(part: str) -> str:
        low, typical, high = figures["energy_nj_per_step"][part].values()
        return f"{typical:.0f} nJ ({low:.0f} to {high:.0f})"

    share = figures["macs_per_step"] / figures["dense_macs_per_step"]
    cycles, dense = figures["cycles_per_step"], figures["dense_cycles_per_step_at_least"]
    sections = [
        [
            ("sequences x steps", f"{figures['sequences']} x {figures['steps_per_sequence']:g}"),
            ("cycles per step", time(cycles)),
            ("latency of a step, mean", time(figures["latency_mean"])),
            ("latency of a step, 99 %", time(figures["latency_99_percent"])),
            ("latency of a step, worst", time(figures["latency_worst"])),
            ("lanes busy", f"{figures['lanes_busy']:.1%}"),
            ("rows of weights per step", f"{figures['weight_rows_per_step']:.1f}"),
            ("bytes of weights per step", f"{figures['weight_bytes_per_step']:.0f}"),
            (
                "multiply-accumulates per step",
                f"{figures['macs_per_step']:.0f} ({share:.1%} of dense)",
            ),
            ("GOp/s performed", f"{figures['performed_gops']:.1f}"),
            ("GOp/s effective, as a dense network", f"{figures['effective_gops']:.1f}"),
        ],
        [
            *(
                (f"{name}, {figures['resources_are']}", str(used))
                for name, used in figures["resources"].items()
            ),
            (f"MHz reached, {figures['mhz_is']}", f"{figures['mhz_reached']:.1f}"),
            (f"variants of {figures['board']} that it fits", ", ".join(figures["variants"])),
        ],
        [
            (f"energy of a step, {part}, estimate", nanojoules(part))
            for part in ("dynamic", "static", "total")
        ],
        [
            (
                "dense GRU on these lanes, at least",
                f"{time(dense)}, {dense / cycles:.2f} times as long",
            ),
            *(
                (
                    f"{name} on this processor, median",
                    f"{seconds * 1e6:.1f} us, {seconds * mhz * 1e6 / cycles:.1f} times as long",
                )
                for name, seconds in figures.get("processor_seconds_per_step", {}).items()
            ),
        ],
    ]
    for section in sections:
        for row in section:
            table.add_row(*row)
        table.add_section()
    results.print(table)
    return [row for section in sections for row in section]
