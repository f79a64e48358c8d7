"""Figures of events: when each unit fires, and how many do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import NumeralTickFormatter

from egru_cli.report.figures import COLOURS, colour, legend_above, plot
from golden.lengths import real_steps

MOST_STEPS = 1000
"""Steps of a raster; more could not be told apart, and make the page large."""


def rasters(
    golden: Sequence[np.ndarray], hardware: Sequence[np.ndarray], sequence: int
) -> list[Any]:
    """A raster of each layer's events in one sequence; they are zoomed together.

    Args:
        golden: per layer the integer model's event values (N, T, H), 0 where a unit is silent; no
            layers if it did not run.
        hardware: likewise the hardware's; no layers if it reported none.
    """
    made: list[Any] = []
    for layer, values in enumerate(golden or hardware):
        axis = plot(
            f"layer {layer}, sequence {sequence}",
            "step",
            "unit",
            [("step", "@x"), ("unit", "@y"), ("value", "@value / 256")],
            height=max(240, min(460, 90 + 4 * values.shape[2])),
            **({"x_range": made[0].x_range} if made else {}),
        )
        ring = {"size": 6, "fill_color": None, "line_color": COLOURS[0]}
        dot = {"size": 3, "color": COLOURS[4]}
        cross = {"size": 12, "marker": "x", "line_width": 2, "color": COLOURS[1]}
        if golden:
            expected = golden[layer][sequence, :MOST_STEPS]
            _mark(axis, "integer model: {} events", expected != 0, expected, ring)
        if hardware:
            found = hardware[layer][sequence, :MOST_STEPS]
            _mark(axis, "hardware: {} events", found != 0, found, dot)
        if golden and hardware and (found != expected).any():
            _mark(axis, "mismatches: {}", found != expected, found, cross)
        legend_above(axis)
        made.append(axis)
    return made


def _mark(
    axis: Any, label: str, where: np.ndarray, values: np.ndarray, style: dict[str, Any]
) -> None:
    steps, units = np.nonzero(where)
    source = {"x": steps, "y": units, "value": values[steps, units]}
    axis.scatter("x", "y", source=source, legend_label=label.format(len(steps)), **style)


def activity(layers: Sequence[np.ndarray], lengths: np.ndarray) -> Any:
    """The share of each layer's units that fire in each step, over all sequences that have it.

    Args:
        layers: event values (N, T, H), 0 where a unit is silent.
        lengths: (N,), the steps of each sequence.
    """
    axis = plot("", "step", "units that fire", [("step", "@x"), ("share", "@y{0.0 %}")], height=260)
    axis.yaxis.formatter = NumeralTickFormatter(format="0 %")
    for layer, events in enumerate(layers):
        played = events.shape[2] * real_steps(lengths, lengths.max()).sum(0)
        fired = np.count_nonzero(events[:, : len(played)], axis=(0, 2))
        axis.line(
            "x", "y", source={"x": np.arange(len(played)), "y": fired / played}, line_width=2,
            color=colour(layer), legend_label=f"layer {layer}: {fired.sum() / played.sum():.1%}",
        )  # fmt: skip
    axis.y_range.start = 0
    legend_above(axis)
    return axis
