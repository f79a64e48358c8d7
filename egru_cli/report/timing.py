"""Figures of cycles: what each unit does in a step, and how steps compare with the bound."""

from typing import Any

import numpy as np
from bokeh.models import FactorRange

from egru_cli.report.figures import COLOURS, INK, WAITING, colour, legend_above, plot
from egru_hw.contract.config import Config
from egru_hw.cost.timeline import Timeline, Track
from golden.integer import IntegerResult
from golden.lengths import real_steps


def units(timeline: Timeline, step: int) -> Any:
    """What each unit does during a step, cycle by cycle."""
    axis = plot(
        "",
        "cycle of the sequence",
        "",
        [("", "@what"), ("step, layer", "@step, @layer"), ("cycles", "@begin to @last (@cycles)")],
        height=380,
        y_range=FactorRange(factors=[track.value for track in reversed(Track)]),
    )
    spans = timeline.during(step)
    layers = sorted({span.layer for span in spans if span.layer is not None})
    kinds = [("waits", WAITING, [span for span in spans if span.waits])]
    for layer in layers:
        own = [span for span in spans if span.layer == layer and not span.waits]
        kinds.append((f"layer {layer}", colour(layer), own))
    rest = [span for span in spans if span.layer is None and not span.waits]
    kinds.append(("whole network", INK, rest))
    for label, fill, own in kinds:
        if not own:
            continue
        source = {
            "track": [span.track.value for span in own],
            "what": [span.what for span in own],
            "begin": [span.begin for span in own],
            "end": [span.end for span in own],
            "last": [span.end - 1 for span in own],
            "cycles": [span.cycles for span in own],
            "step": ["" if span.step is None else str(span.step) for span in own],
            "layer": ["" if span.layer is None else str(span.layer) for span in own],
            "alpha": [1 if span.step == step else 0.35 for span in own],
        }
        axis.hbar(
            "track", left="begin", right="end", height=0.7, source=source, fill_color=fill,
            fill_alpha="alpha", line_color="white", line_width=0.5, legend_label=label,
        )  # fmt: skip
    own = [span for span in spans if span.step == step]
    axis.x_range.start = min(span.begin for span in own) - 1
    axis.x_range.end = max(span.end for span in own) + 1
    axis.ygrid.grid_line_color = None
    legend_above(axis)
    return axis


def against_bound(
    latency: list[list[int]], cycles: list[int], result: IntegerResult, config: Config
) -> Any:
    """Cycles of steps and sequences over what their multiply-accumulates take at least.

    Args:
        latency: of each step of the first N sequences of ``result``.
        cycles: of these sequences as a whole.
    """
    count, lengths = len(cycles), result.lengths[: len(cycles)]
    bound = np.sum(result.operations, axis=0)[:count] / config.lanes
    axis = plot(
        "",
        "multiply-accumulates / lanes, in cycles per step",
        "cycles per step",
        [("sequence", "@sequence"), ("step", "@step"), ("cycles", "@y{0.0}"), ("bound", "@x{0.0}")],
    )
    sequences, steps = np.nonzero(real_steps(lengths, bound.shape[1]))
    source = {
        "x": bound[sequences, steps],
        "y": np.concatenate(latency),
        "sequence": sequences,
        "step": steps,
    }
    axis.scatter(
        "x", "y", source=source, size=5, color=COLOURS[0], alpha=0.3,
        legend_label="latency of a step",
    )  # fmt: skip
    source = {
        "x": bound.sum(1) / lengths,
        "y": np.array(cycles) / lengths,
        "sequence": np.arange(count),
        "step": ["all"] * count,
    }
    axis.scatter(
        "x", "y", source=source, size=6, color=COLOURS[2], marker="diamond",
        legend_label="mean of a sequence",
    )  # fmt: skip
    top = float(max(bound.max(), 1))
    axis.line([0, top], [0, top], color=COLOURS[1], line_width=2, legend_label="bound")
    axis.x_range.start = axis.y_range.start = 0
    legend_above(axis)
    return axis
