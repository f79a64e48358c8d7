"""Figures of predictions: classes, or real values, against their targets."""

from typing import Any

import numpy as np
from bokeh.models import FactorRange
from bokeh.transform import linear_cmap

from egru_cli.report.figures import COLOURS, INK, colour, legend_above, plot

MOST_LABELS = 20
"""Classes up to which the counts are written into the matrix."""

MOST_OUTPUTS = 4
MOST_STEPS = 1000


def confusion(logits: np.ndarray, targets: np.ndarray) -> Any:
    """How often each class (rows) was taken for each (columns).

    Args:
        logits: (..., K).
        targets: (...), classes, or -1 where none is scored.
    """
    classes = logits.shape[-1]
    scored = targets >= 0
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (targets[scored], logits.argmax(-1)[scored]), 1)
    rows, columns = np.indices(counts.shape)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [str(number) for number in range(classes)]
    source = {
        "target": [names[row] for row in rows.ravel()],
        "predicted": [names[column] for column in columns.ravel()],
        "count": counts.ravel(),
        "share": share.ravel(),
        "text": [str(count) if count else "" for count in counts.ravel()],
        "ink": ["white" if part > 0.5 else INK for part in share.ravel()],
    }
    axis = plot(
        "",
        "predicted class",
        "class",
        [("class", "@target"), ("predicted", "@predicted"), ("count", "@count (@share{0.0 %})")],
        height=max(320, min(560, 120 + 28 * classes)),
        x_range=FactorRange(factors=names),
        y_range=FactorRange(factors=names[::-1]),
    )
    axis.rect(
        "predicted", "target", 1, 1, source=source, line_color="white",
        fill_color=linear_cmap("share", BLUES, 0, 1),
    )  # fmt: skip
    axis.grid.grid_line_color = None
    if classes <= MOST_LABELS:
        axis.text(
            "predicted", "target", "text", source=source, text_align="center",
            text_baseline="middle", text_color="ink", text_font_size="9pt",
        )  # fmt: skip
    else:
        axis.axis.major_label_text_font_size = "0pt"
    return axis


def _blend(part: float) -> str:
    """From white to the first colour."""
    deep = [int(COLOURS[0][at : at + 2], 16) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + (value - 255) * part):02x}" for value in deep)


BLUES = [_blend(number / 255) for number in range(256)]


def forecast(outputs: np.ndarray, targets: np.ndarray) -> Any:
    """Predicted values against targets: over the steps of the first sequence if there is a target
    for each, otherwise over the targets of all sequences.

    Args:
        outputs: (N, K) or (N, T, K).
        targets: likewise, NaN where none is scored.
    """
    shown = range(min(outputs.shape[-1], MOST_OUTPUTS))
    if outputs.ndim == 3:
        axis = plot("sequence 0", "step", "value", [("step", "@x"), ("value", "@y{0.000}")])
        steps = np.arange(min(outputs.shape[1], MOST_STEPS))
        for output in shown:
            for label, values, dash in (
                ("target", targets, "dashed"),
                ("output", outputs, "solid"),
            ):
                axis.line(
                    "x", "y", source={"x": steps, "y": values[0, : len(steps), output]},
                    line_dash=dash, line_width=2, color=colour(output),
                    legend_label=f"{label} {output}",
                )  # fmt: skip
    else:
        axis = plot("", "target", "output", [("target", "@x{0.000}"), ("output", "@y{0.000}")])
        for output in shown:
            source = {"x": targets[:, output], "y": outputs[:, output]}
            axis.scatter(
                "x", "y", source=source, size=6, alpha=0.6, color=colour(output),
                legend_label=f"output {output}",
            )  # fmt: skip
        ends = [float(np.nanmin(targets)), float(np.nanmax(targets))]
        axis.line(ends, ends, color=INK, line_dash="dashed", legend_label="exact")
    legend_above(axis)
    return axis
