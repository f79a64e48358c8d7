"""``make sim``: a trained model on the RTL, compared with the integer model bit for bit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from egru_hw.contract.config import preset
from egru_hw.host.driver import TransportError
from golden.model_file import ModelFile, ModelFileError, load
from golden.tasks import Task, of_model
from sim import report as reports
from sim.backends.verilator_install import ToolError
from sim.simulation import BUILD, DEFAULT_PRESET, Simulation, run

SHIPPED_MODEL = Path(__file__).parent.parent / "golden" / "models" / "mnist1d.safetensors"

app = typer.Typer(add_completion=False)
console = Console()


@app.command()
def main(
    model: Annotated[Path, typer.Option(help="Model file.")] = SHIPPED_MODEL,
    data: Annotated[
        Path | None, typer.Option(help="Where the files of its task are, if that has any.")
    ] = None,
    sequences: Annotated[int, typer.Option(min=1, help="Test sequences to run.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of sequences, and stalls.")] = 2,
    stall: Annotated[
        float, typer.Option(help="Probability of back-pressure per cycle, in [0, 1).")
    ] = 0.0,
    waves: Annotated[bool, typer.Option("--waves", help="Record a VCD file.")] = False,
    preset_name: Annotated[
        str, typer.Option("--preset", help="Size of the accelerator.")
    ] = DEFAULT_PRESET,
    out: Annotated[Path, typer.Option(help="Folder for reports and compiled models.")] = BUILD,
) -> None:
    """Run test sequences of a model's task on the RTL and compare with the integer model.

    Exits with 1 at any mismatch, naming the first.
    """
    try:
        file = load(model)
        integer, task = file.twin(), _task(file, data)
        inputs, labels = task.test()
        if sequences > len(inputs):
            raise ValueError(f"there are {len(inputs)} test sequences, not {sequences}")
        chosen = np.random.default_rng(seed).permutation(len(inputs))[:sequences]
        inputs, labels = inputs[chosen], labels[chosen]
        vcd = out / "egru.vcd" if waves else None
        with _progress() as progress:
            simulation = run(
                integer,
                inputs,
                waves=vcd,
                stall=stall,
                seed=seed,
                config=preset(preset_name),
                build=out,
                progress=progress,
            )
        report = {
            "model": _shown(model),
            "preset": preset_name,
            "seed": seed,
            "stall": stall,
            **reports.summary(simulation),
            "accuracy": _accuracies(file, simulation, inputs, labels),
        }
        reports.print_table(report, console)
        reports.write_json(report, out / "report.json")
        first = simulation.comparison.first
        raster = out / "raster.png"
        reports.plot_raster(simulation, first.sequence if first else 0, raster)
        console.print(f"wrote {out / 'report.json'}, {raster}" + (f", {vcd}" if vcd else ""))
    except (ModelFileError, ToolError, TransportError, ValueError, OSError) as error:
        console.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from None
    if first:
        console.print(f"[red]mismatch:[/] first {first}", soft_wrap=True, highlight=False)
        raise typer.Exit(1)


def _task(file: ModelFile, data: Path | None) -> Task:
    """The task that the model was trained on."""
    try:
        task = of_model(file.path, file.config, data)
    except ValueError as error:
        raise ModelFileError(f"{file.path}: there are no test sequences for it: {error}") from None
    if task.readout != "mean":
        raise ModelFileError(
            f"{file.path} was trained on {task.name}, which wants an answer at every step, and "
            f"the accelerator gives one a sequence: name a model of another task"
        )
    return task


def _accuracies(
    file: ModelFile, simulation: Simulation, inputs: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Of the float network, the integer model and the RTL, on the same sequences.

    Where torch is not installed, the float network's is the one its training recorded, on the
    whole test set.
    """

    def share(scores: np.ndarray) -> float:
        return float((scores.argmax(1) == labels).mean())

    accuracies = {}
    if find_spec("torch"):
        import torch

        with torch.no_grad():
            accuracies["float"] = share(file.network().eval()(torch.as_tensor(inputs)).numpy())
    else:
        accuracies["float (recorded, whole test set)"] = file.config["results"]["accuracy"][0]
    accuracies["integer"] = share(simulation.golden.outputs)
    accuracies["RTL"] = share(simulation.hardware.outputs)
    return accuracies


def _shown(path: Path) -> str:
    """``path`` as a user would type it."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def _progress() -> Iterator[Callable[[str, float | None], None]]:
    """A bar on a terminal, a line for each phase elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)
        phase = ""

        def show(name: str, share: float | None) -> None:
            nonlocal phase
            if name != phase and not console.is_terminal:
                console.print(f"{name} ...", highlight=False)
            phase = name
            bar.update(task, description=name, completed=share or 0, total=share and 1)

        yield show


if __name__ == "__main__":
    app()
