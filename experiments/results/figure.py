"""docs/results.svg: accuracy against effective operations, a panel per experiment."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from experiments.results.catalogue import Experiment
from experiments.results.record import Record
from golden import output

COLUMNS = 4
STYLES = {
    "egru": ("EGRU", "o", "tab:blue"),
    "gru": ("GRU", "s", "tab:orange"),
    "lstm": ("LSTM", "^", "tab:green"),
}


def draw(experiments: Sequence[Experiment], records: dict[str, Record], path: Path) -> None:
    """Draw a mark per record. The same records give the same file."""
    rows = -(-len(experiments) // COLUMNS)
    with rc_context({"svg.hashsalt": "egru-hw", "font.size": 9}):
        figure = Figure(figsize=(3.2 * COLUMNS, 2.9 * rows))
        axes = figure.subplots(rows, COLUMNS, squeeze=False)
        handles = {}
        for axis, experiment in zip(axes.flat, experiments, strict=False):
            for run in experiment.runs():
                if run.name not in records:
                    continue
                record = records[run.name]
                label, marker, colour = STYLES[run.model]
                if run.target is not None:
                    label = "EGRU, other targets of activity"
                handles[label] = axis.scatter(
                    record.costs.macs + record.costs.acs,
                    100 * record.scores["float"].metric,
                    marker=marker,
                    edgecolors=colour,
                    facecolors=colour if run.target is None else "none",
                    alpha=0.7,
                )
            axis.set_title(experiment.title, fontsize=9)
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.margins(0.2)
            axis.grid(True, which="both", alpha=0.2)
        for axis in axes[:, 0]:
            axis.set_ylabel("accuracy, %")
        for axis in axes[-1]:
            axis.set_xlabel("effective operations a step")
        for axis in axes.flat[len(experiments) :]:
            axis.axis("off")
        if handles:
            axes.flat[-1].legend(handles.values(), handles.keys(), loc="center", frameon=False)
        figure.tight_layout()
        figure.savefig(image := io.BytesIO(), format="svg", metadata={"Date": None})
    output.write(path, image.getvalue())
