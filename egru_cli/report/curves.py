"""Figures of a training: its course, and what accuracy costs."""

from collections.abc import Sequence
from typing import Any

from bokeh.models import NumeralTickFormatter

from egru_cli.report.figures import COLOURS, INK, legend_above, plot

Epochs = Sequence[dict[str, float | None]]
"""The lines of a training history, see :class:`golden.training.history.Epoch`."""


def course(history: Epochs, name: str, title: str, form: str) -> Any:
    """A figure of merit by epoch, on the training and, if there is one, the validation set.

    Args:
        form: number format of Numeral.js.
    """
    axis = plot("", "epoch", title, [("epoch", "@x"), (title, f"@y{{{form}}}")], height=260)
    axis.yaxis.formatter = NumeralTickFormatter(format=form)
    for column, label, colour in (
        (name, "training", COLOURS[0]),
        (f"validation_{name}", "validation", COLOURS[1]),
    ):
        points = [(row["epoch"], row[column]) for row in history if row.get(column) is not None]
        if points:
            x, y = zip(*points, strict=True)
            source = {"x": x, "y": y}
            axis.line("x", "y", source=source, line_width=2, color=colour, legend_label=label)
            if len(points) == 1:
                axis.scatter("x", "y", source=source, size=6, color=colour, legend_label=label)
    legend_above(axis)
    return axis


def against_operations(
    history: Epochs, name: str, title: str, form: str, dense: int, final: tuple[float, float]
) -> Any:
    """The metric of each epoch over its operations.

    Args:
        dense: recurrent multiply-accumulates per step if all units fire.
        final: activity and metric of the trained network on the test set.
    """
    x = "recurrent multiply-accumulates per step"
    axis = plot(
        "", x, title, [("epoch", "@epoch"), (x, "@x{0,0}"), (title, f"@y{{{form}}}")], height=300
    )
    axis.xaxis.formatter = NumeralTickFormatter(format="0,0")
    axis.yaxis.formatter = NumeralTickFormatter(format=form)
    source = {
        "x": [dense * (row["activity"] or 0) for row in history],
        "y": [row[name] for row in history],
        "epoch": [row["epoch"] for row in history],
    }
    axis.line("x", "y", source=source, color=COLOURS[0], alpha=0.5, legend_label="epochs, training")
    axis.scatter("x", "y", source=source, size=5, color=COLOURS[0], legend_label="epochs, training")
    activity, metric = final
    last = {"x": [dense * activity], "y": [metric], "epoch": ["the last"]}
    axis.scatter(
        "x", "y", source=last, size=11, marker="star", color=INK, legend_label="test set"
    )  # fmt: skip
    axis.x_range.start = 0
    legend_above(axis)
    return axis
