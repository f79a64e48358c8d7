"""Models on configurations of the accelerator: a table, the same as JSON, and a Pareto plot."""

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from egru_hw.cost.search import Point, pareto
from egru_hw.cost.summary import area_facts, energy_facts
from golden import output


@dataclass(frozen=True)
class Row:
    """A model on a configuration.

    Attributes:
        model: its settings in a sweep, or its name.
        point: what it costs.
        scores: what else is known of the model, such as its accuracy, as shares.
    """

    model: str
    point: Point
    scores: dict[str, float]

    def aims(self) -> tuple[float, ...]:
        """What is to be low: cycles, LUTs, energy, and all scores but the activity negated."""
        point = self.point
        scores = (-score for name, score in self.scores.items() if name != "activity")
        return point.cycles_per_step, point.area.used["LUTs"], point.energy.total.typical, *scores


def facts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """All rows, ready for JSON."""
    return [
        {
            "model": row.model,
            "preset": row.point.candidate.preset,
            "config": asdict(row.point.candidate.config),
            "cycles_per_step": row.point.cycles_per_step,
            "latency_mean": float(row.point.cost.latencies.mean()),
            **area_facts(row.point.area),
            "variants": list(row.point.variants),
            "energy_nj_per_step": energy_facts(row.point),
            **row.scores,
            "pareto": worth,
        }
        for row, worth in zip(rows, pareto([row.aims() for row in rows]), strict=True)
    ]


def smallest(rows: Sequence[Row]) -> Row:
    """On the part with the fewest LUTs, then with the fewest LUTs, then the fewest cycles."""

    def size(row: Row) -> tuple[int, int, float]:
        # The smallest variant that a row fits is missing from those of a larger one.
        return -len(row.point.variants), row.point.area.used["LUTs"], row.point.cycles_per_step

    return min(rows, key=size)


def fastest(rows: Sequence[Row]) -> Row:
    """With the fewest cycles a step, then the fewest LUTs."""
    return min(rows, key=lambda row: row.aims()[:2])


def print_rows(rows: Sequence[Row], title: str, console: Console) -> None:
    """A line a row, the fastest first; what is the same in all of several rows stands below.

    ~ marks what is interpolated, * the Pareto front.
    """
    worth = pareto([row.aims() for row in rows])
    ordered = sorted(zip(rows, worth, strict=True), key=lambda pair: pair[0].aims())
    columns: dict[str, list[str]] = {"": ["*" if best else "" for _, best in ordered]}
    for row, _ in ordered:
        for name, text in _cells(row).items():
            columns.setdefault(name, []).append(text)
    same = [name for name, texts in columns.items() if name and len(set(texts)) < 2 < len(rows)]
    table = Table(title=title, title_justify="left", caption_justify="left", pad_edge=False)
    table.caption = (
        "sizes: lanes/units per cycle/lanes of the read-out; part: the smallest; "
        "~ interpolated; * Pareto front"
    )
    if same:
        table.caption += "\nin all: " + ", ".join(f"{n} {columns[n][0]}" for n in same)
    shown = {name: texts for name, texts in columns.items() if name not in same}
    for name in shown:
        table.add_column(name, justify="left" if name in ("model", "preset", "part") else "right")
    for line in zip(*shown.values(), strict=True):
        table.add_row(*line)
    console.print(table)


def _cells(row: Row) -> dict[str, str]:
    """The texts of a row by column."""
    point, area = row.point, row.point.area
    config = point.candidate.config
    about = "" if area.build else "~"
    return {
        "model": row.model,
        "preset": point.candidate.preset or "",
        "sizes": f"{config.lanes}/{config.units_per_cycle}/{config.readout_lanes}",
        "cycles": f"{point.cycles_per_step:.1f}",
        "latency": f"{point.cost.latencies.mean():.0f}",
        "LUTs": f"{about}{area.used['LUTs']}",
        "RAMs": f"{about}{area.used['block RAMs']}",
        "MULs": f"{about}{area.used['multipliers']}",
        "nJ": f"{point.energy.total.typical:.0f}",
        **{name: f"{score:.1%}" for name, score in row.scores.items()},
        "part": point.variants[0],
    }


def plot(rows: Sequence[Row], path: Path) -> None:
    """Cycles of a step against LUTs or, in a sweep, the score; the Pareto front is filled."""
    score = next((name for name in rows[0].scores if name != "activity"), None)
    worth = pareto([row.aims() for row in rows])
    figure = Figure(figsize=(8, 5), layout="tight")
    axes = figure.subplots()
    for number, name in enumerate(dict.fromkeys(row.model for row in rows)):
        shown = [(row, best) for row, best in zip(rows, worth, strict=True) if row.model == name]
        color = f"C{number % 10}"
        axes.scatter(
            [row.point.cycles_per_step for row, _ in shown],
            [row.scores[score] if score else row.point.area.used["LUTs"] for row, _ in shown],
            facecolors=[color if best else "none" for _, best in shown],
            edgecolors=color,
            label=name,
        )
    axes.set(xlabel="cycles per step", ylabel=score or "LUTs")
    axes.legend(frameon=False, title="filled: Pareto front")
    figure.savefig(image := io.BytesIO(), dpi=120)
    output.write(path, image.getvalue())
