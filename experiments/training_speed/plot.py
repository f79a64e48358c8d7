"""docs/training-speed.png: time against activity, a row per shape."""

import io
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from experiments.training_speed.cases import Case
from golden import output


def plot(cases: list[Case], path: Path) -> None:
    """Cases with events as inputs: the forward pass, and both passes with 40 % near units."""
    shapes = list(dict.fromkeys(case.shape for case in cases))
    figure = Figure(figsize=(9, 3 * len(shapes)))
    grid = figure.subplots(len(shapes), 2, squeeze=False)
    for axes, shape in zip(grid, shapes, strict=True):
        for ax, window, title in zip(axes, (None, 0.4), ("forward", "both passes"), strict=True):
            chosen = [
                case for case in cases
                if (case.shape, case.window, case.inputs) == (shape, window, "events")
            ]  # fmt: skip
            activity = [case.activity for case in chosen]
            for name in chosen[0].seconds:
                ax.plot(activity, [1e3 * c.seconds[name] for c in chosen], "o-", label=name)
            full = chosen[0].seconds["core, dense"]
            ideal = [1e3 * full * c.total(1) / max(1, c.total(2)) for c in chosen]
            ax.plot(activity, ideal, "k--", label="ideal")
            ax.set(xscale="log", yscale="log", xlabel="activity", ylabel="ms")
            ax.set_xticks(activity, [f"{share:.0%}" for share in activity])
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_minor_locator(NullLocator())
            ax.set_title(f"{', '.join(map(str, shape))}: {title}", fontsize=9)
    grid[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(image := io.BytesIO(), dpi=100)
    output.write(path, image.getvalue())
