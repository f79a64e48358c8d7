"""Compares the accelerator with the integer model bit by bit, and names the first mismatch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from egru_hw.host.replies import HardwareResult
from golden.integer import IntegerResult
from golden.integer.numerics import EVENT, STATE, Format


@dataclass(frozen=True)
class Difference:
    """One number that differs, in raw values. ``step`` is None at the end of a sequence."""

    what: str
    sequence: int
    step: int | None
    layer: int | None
    unit: int
    golden: int
    hardware: int
    format: Format | None

    def __str__(self) -> str:
        place = [f"sequence {self.sequence}"]
        if self.step is not None:
            place.append(f"step {self.step}")
        if self.layer is not None:
            place.append(f"layer {self.layer}")
        place.append(f"unit {self.unit}" if self.format else f"output {self.unit}")
        return (
            f"{self.what} at {', '.join(place)}: golden {self._show(self.golden)}, "
            f"hardware {self._show(self.hardware)}"
        )

    def _show(self, raw: int) -> str:
        text = f"{raw} (0x{raw & 0xFFFFFFFF:x})"
        return f"{text} = {self.format.real(raw):.6f}" if self.format else text


@dataclass(frozen=True)
class Comparison:
    """How many numbers were compared, how many differ, and the first that does."""

    compared: int
    mismatches: int
    first: Difference | None


def compare(golden: IntegerResult, hardware: HardwareResult) -> Comparison:
    """Compare every event (if the hardware reported any), final state and output.

    Steps after the end of a sequence are not compared. The first difference is the earliest.
    """
    compared = mismatches = 0
    steps = int(golden.lengths.sum())
    differences = []
    for what, layer, expected, found, format_ in _pairs(golden, hardware):
        compared += steps * expected.shape[2] if expected.ndim == 3 else expected.size
        where = np.argwhere(expected != found)
        mismatches += len(where)
        if len(where):
            sequence, *step, unit = (int(i) for i in where[0])
            differences.append(
                Difference(
                    what,
                    sequence,
                    step[0] if step else None,
                    layer,
                    unit,
                    int(expected[tuple(where[0])]),
                    int(found[tuple(where[0])]),
                    format_,
                )
            )
    first = min(differences, key=_time, default=None)
    return Comparison(compared, mismatches, first)


def _pairs(golden: IntegerResult, hardware: HardwareResult) -> Iterator[tuple]:
    # Without reports of events, the hardware's are no layers.
    for layer, found in enumerate(hardware.events):
        yield "event", layer, golden.events[layer], found, EVENT
    for layer, (state, found) in enumerate(zip(golden.state, hardware.states, strict=True)):
        yield "final state", layer, state[1], found, STATE
    yield "read-out", None, golden.outputs, hardware.outputs, None


def _time(difference: Difference) -> tuple:
    end = difference.step is None
    return difference.sequence, end, difference.step or 0, difference.layer or 0
