"""When the read-out takes, multiplies and retires the spikes that reach it."""

from collections import deque

from egru_hw.gateware.readout import QUEUE_DEPTH
from egru_hw.gateware.tokens import Kind
from egru_hw.gateware.weight_fetch import IN_FLIGHT

MULTIPLY = 2  # cycles from a row's acceptance to its sum
FIRST_OUTPUT = 3  # from the decision to send to the first output


class ReadoutPath:
    """The timing of ``egru_hw.gateware.readout.Readout``, spike by spike.

    Args:
        pitch: rows of weights of an event.
        outputs: outputs of the model.

    Attributes:
        room: first cycle in which the queue has room for another spike.
        multiplied: cycle in which the multipliers took the latest row.
        retired: cycle in which the latest marker retired.
        sending: first and last cycles of outputs, which keep other replies waiting.
    """

    def __init__(self, pitch: int, outputs: int):
        self.pitch, self.outputs = pitch, outputs
        self.room = 0
        self.multiplied = -MULTIPLY - 1
        self.retired = 0
        self.sending: deque[tuple[int, int]] = deque()
        self._left_queue = deque([-1] * QUEUE_DEPTH, QUEUE_DEPTH)  # to the output register
        self._fetched = -1  # the last spike entered the fetch
        self._located = -1  # and began its walk along the rows
        self._walked = -1  # and requested its last row
        self._used = deque([-1] * IN_FLIGHT, IN_FLIGHT)  # rows and markers, by the multipliers

    def push(self, cycle: int, kind: int, ours: bool) -> None:
        """A spike enters in ``cycle``; ``ours`` if it is of the last layer."""
        leaves = max(cycle + 1, self._fetched)
        self._left_queue.append(leaves)
        self.room = self._left_queue[0] + 1
        self._fetched = max(leaves + 1, self._located)
        self._located = max(self._fetched + 1, self._walked)
        step = self._located
        if ours and kind in (Kind.EVENT, Kind.UPDATE):
            for _ in range(self.pitch):
                # The store holds one row; the fetch remembers IN_FLIGHT requests.
                step = max(step + 1, self._used[0] + 1, self.multiplied)
                self.multiplied = max(step, self._used[-1]) + 1
                self._used.append(self.multiplied)
        else:
            step = max(step + 1, self._used[0] + 1)
            used = max(step, self._used[-1]) + 1
            if kind == Kind.READOUT:
                used = self._send(max(used, self.multiplied + MULTIPLY + 1))
            self._used.append(used)
        self._walked = step
        if kind != Kind.EVENT:
            self.retired = self._used[-1]

    def _send(self, cycle: int) -> int:
        """Send the sums, decided in ``cycle``; returns the cycle in which READOUT retires."""
        if not self.outputs:
            return cycle + 1
        first = cycle + FIRST_OUTPUT
        self.sending.append((first, first + self.outputs - 1))
        return first + self.outputs
