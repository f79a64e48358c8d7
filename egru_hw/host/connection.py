"""A transport, and what is known about the accelerator at its other end."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from egru_hw.contract.image import Image
from egru_hw.contract.protocol import VALUE_BITS, Counter, Reply, Target
from egru_hw.host import commands
from egru_hw.host.replies import Replies
from egru_hw.host.transport import Transport

WORD = (1 << VALUE_BITS) - 1


class Connection:
    """Begins a session over ``transport``.

    Attributes:
        image: the model that the accelerator holds, as far as is known.
        reports_events: whether it reports events, if it holds a model.
        sequence: whose sequence it runs; replaced by whoever begins another one.
    """

    def __init__(self, transport: Transport):
        self.transport = transport
        self.image: Image | None = None
        self.reports_events = True
        self.sequence: object = None
        self._interrupted = False
        transport.reset()

    @contextmanager
    def exchange(self, sequence: object = None) -> Iterator[None]:
        """Within it, commands are sent and all their replies are received.

        After one that ended early, the next begins a new session. What the accelerator holds is
        then unknown, as it may have been switched off.

        Args:
            sequence: ``RuntimeError`` if the accelerator does not run it any more.
        """
        if self._interrupted:
            self.image = self.sequence = None
            self.transport.reset()
            self._interrupted = False
        self.check(sequence)
        self._interrupted = True
        yield
        self._interrupted = False

    def check(self, sequence: object) -> None:
        """``RuntimeError`` if the accelerator does not run ``sequence`` any more."""
        if sequence is not None and sequence is not self.sequence:
            raise RuntimeError("the device has begun something else since: begin again")

    def send(self, packets: np.ndarray) -> None:
        self.transport.send(packets)

    def receive(self, expected: dict[Reply, int]) -> Replies:
        """The next replies, of which as many of each code must come as ``expected``."""
        return Replies.sorted(self.transport.receive(sum(expected.values())), expected)

    def read(self, target: Target, count: int) -> np.ndarray:
        """The first ``count`` words of ``target``, signed."""
        self.send(commands.read(target, 0, count))
        return self.receive({Reply.DATA: count}).data

    def counters(self) -> np.ndarray:
        """All counters, in the order of :class:`Counter`."""
        return self.read(Target.COUNTERS, len(Counter)) & WORD
