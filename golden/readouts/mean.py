"""One read-out per sequence, of the mean over its steps."""

from typing import Any

from golden.readouts.base import ReadoutKind


class Mean(ReadoutKind):
    """Outputs of a sequence: the linear map of the mean of its events."""

    name = "mean"
    per_step = False

    def pool(self, events: Any, lengths: Any = None) -> Any:
        return events.mean(1) if lengths is None else events.sum(1) / lengths[:, None]

    def reads(self, steps: int) -> tuple[int, ...]:
        return (steps,)

    def outputs(self, sums: Any) -> Any:
        return sums[:, 0]

    def divisor(self, steps: Any) -> Any:
        return steps


KIND = Mean()
