"""Replies of the accelerator, and the results in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from egru_hw.contract.protocol import Counter, Reply, unpack
from egru_hw.host.transport import TransportError
from golden.integer.numerics import EVENT


@dataclass(frozen=True, eq=False)
class HardwareResult:
    """The accelerator's results for N sequences of T steps.

    After the end of a shorter sequence, events and outputs are 0.

    Attributes:
        events: per layer (N, T, H) event values, 0 where a unit is silent; no layers if the events
            were not asked for.
        states: per layer (N, H), the state h after the last step of each sequence.
        outputs: sums of the read-out, as in :class:`golden.integer.IntegerResult`.
        counters: of all sequences together.
        lengths: (N,), the steps of each sequence.
    """

    events: tuple[np.ndarray, ...]
    states: tuple[np.ndarray, ...]
    outputs: np.ndarray
    counters: dict[Counter, int]
    lengths: np.ndarray

    @classmethod
    def joined(cls, results: Sequence["HardwareResult"]) -> "HardwareResult":
        """One result for the sequences of all ``results``, which have equally many steps T."""
        events = zip(*(result.events for result in results), strict=True)
        states = zip(*(result.states for result in results), strict=True)
        return cls(
            tuple(map(np.concatenate, events)),
            tuple(map(np.concatenate, states)),
            np.concatenate([result.outputs for result in results]),
            {counter: sum(result.counters[counter] for result in results) for counter in Counter},
            np.concatenate([result.lengths for result in results]),
        )


@dataclass(frozen=True)
class Replies:
    """Replies, sorted by what they answer.

    Attributes:
        codes, indices, values: of the EVENT and STEP replies, in order.
        outputs, data: values of the OUTPUT and of the DATA replies.
    """

    codes: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    outputs: np.ndarray
    data: np.ndarray

    @classmethod
    def sorted(cls, packets: np.ndarray, expected: dict[Reply, int]) -> "Replies":
        """Sort ``packets``.

        Raises:
            TransportError: there are not as many of each code as ``expected``.
        """
        codes, indices, values = unpack(packets)
        for code, count in expected.items():
            if (found := int(np.count_nonzero(codes == code))) != count:
                raise TransportError(
                    f"the accelerator sent {found} {code.name} replies, not {count}"
                )
        of_steps = (codes == Reply.EVENT) | (codes == Reply.STEP)
        return cls(
            codes[of_steps],
            indices[of_steps],
            values[of_steps],
            values[codes == Reply.OUTPUT],
            values[codes == Reply.DATA],
        )

    def events(self, units: int) -> np.ndarray:
        """(steps, units) event values.

        Raises:
            TransportError: there is an event that no accelerator with ``units`` units reports.
        """
        is_event = self.codes == Reply.EVENT
        events = np.zeros((np.count_nonzero(~is_event), units), np.int64)
        step = np.cumsum(~is_event)[is_event]
        unit, value = self.indices[is_event], self.values[is_event]
        bad = (unit >= units) | (value < 1) | (value > EVENT.max) | (step >= len(events))
        if bad.any():
            first = int(np.argmax(bad))
            raise TransportError(
                f"the accelerator reported an impossible event: step {step[first]}, unit "
                f"{unit[first]}, value {value[first]}"
            )
        if len(np.unique(step * units + unit)) != len(step):
            raise TransportError("the accelerator reported one event twice")
        events[step, unit] = value
        return events
