"""A read-out after every step."""

from typing import Any

from golden.readouts.base import ReadoutKind


class EveryStep(ReadoutKind):
    """Outputs of every step: the linear map of its events."""

    name = "steps"
    per_step = True

    def pool(self, events: Any, lengths: Any = None) -> Any:
        return events

    def reads(self, steps: int) -> tuple[int, ...]:
        return tuple(range(1, steps + 1))

    def outputs(self, sums: Any) -> Any:
        return sums

    def divisor(self, steps: Any) -> Any:
        return 1


KIND = EveryStep()
