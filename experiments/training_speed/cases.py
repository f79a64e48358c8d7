"""The cases that are timed: shapes, inputs, activities and widths of the surrogate's window."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from experiments.training_speed.layer import (
    layer_with_activity,
    multiply_accumulates,
    rows_read,
    set_window,
)
from experiments.training_speed.machine import bound
from experiments.training_speed.race import contestants, race

Shape = tuple[int, int, int, int]
"""T, N, C, H: steps, sequences, inputs, units."""
Inputs = Literal["events", "dense"]

SHAPES: list[Shape] = [
    (70, 64, 750, 1350), (70, 64, 1350, 1350), (100, 32, 64, 512), (100, 1, 64, 256),
    (1, 1, 750, 1350),
]  # fmt: skip
INPUTS: tuple[Inputs, ...] = ("events", "dense")
ACTIVITIES = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02]
WINDOWS = [None, 0.4, 1.0]  # share of near units; None times the forward pass alone
WARM_UP = 8  # steps before a single timed step, so that it starts from events


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        shape: T, N, C, H.
        inputs: "dense", or "events" if a share ``activity`` of them is not zero.
        activity: share of units and steps with an event.
        window: requested share of units with an event or inside the surrogate's window; None
            if only the forward pass was timed.
        near: actual share of these units.
        seconds: median by contestant.
        macs: multiply-accumulates by product: done, needed, dense.
        bound: see :func:`experiments.training_speed.machine.bound`; None with a backward pass.
    """

    shape: Shape
    inputs: Inputs
    activity: float
    window: float | None
    near: float
    seconds: dict[str, float]
    macs: dict[str, list[int]]
    bound: float | None

    @property
    def speed_up(self) -> float:
        return self.seconds["torch.nn.GRU"] / self.seconds["core"]

    @property
    def largest_speed_up(self) -> float | None:
        """Over torch.nn.GRU, for a core that reaches the bound."""
        return self.seconds["torch.nn.GRU"] / self.bound if self.bound else None

    def total(self, index: int) -> int:
        """Multiply-accumulates of all products: 0 for those done, 1 needed, 2 dense."""
        return sum(counts[index] for counts in self.macs.values())


def cases(shape: Shape, kind: Inputs, speed: dict[str, float]) -> Iterator[Case]:
    """Times all activities and windows; ``speed`` is that of the memory, as for ``bound``."""
    steps, count, inputs, size = shape
    for activity in ACTIVITIES:
        torch.manual_seed(1)
        length = steps + (WARM_UP if steps == 1 else 0)
        x = torch.randn(length, count, inputs)
        if kind == "events":
            x = torch.rand_like(x) * (torch.rand_like(x) < activity)
        egru = layer_with_activity(size, x, activity)
        state: tuple[Tensor, Tensor] = (x.new_zeros(1, count, size),) * 2
        if length > steps:
            with torch.no_grad():
                state = egru(x[:-steps])[1]
            x = x[-steps:].contiguous()
        rows = rows_read(egru, x, state)
        for window in WINDOWS:
            near = set_window(egru, x, state, window or 1.0)
            train = window is not None
            macs = multiply_accumulates(egru, x, state, near, train)
            functions = contestants(egru, x, state, train)
            if window == 1:  # the others do not depend on the window
                functions = {name: functions[name] for name in ("core", "torch.nn.GRU")}
            yield Case(
                shape, kind, activity, window, near.double().mean().item(), race(functions), macs,
                None if train else bound(size, inputs, macs, rows, speed),
            )  # fmt: skip
