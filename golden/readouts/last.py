"""One read-out per sequence, of its last step."""

from typing import Any

from golden.readouts.base import ReadoutKind


class LastStep(ReadoutKind):
    """Outputs of a sequence: the linear map of its last step's events.

    The accumulators are also read, and so cleared, before the last step; that read is dropped.
    """

    name = "last"
    per_step = False

    def pool(self, events: Any, lengths: Any = None) -> Any:
        return events[:, -1] if lengths is None else events[range(len(events)), lengths - 1]

    def reads(self, steps: int) -> tuple[int, ...]:
        return (steps - 1, steps) if steps > 1 else (1,)

    def outputs(self, sums: Any) -> Any:
        return sums[:, -1]

    def divisor(self, steps: Any) -> Any:
        return 1


KIND = LastStep()
