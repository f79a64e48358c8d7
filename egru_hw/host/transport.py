"""What connects a host to an accelerator: a line, or a simulator."""

from typing import Protocol

import numpy as np


class TransportError(RuntimeError):
    """The accelerator cannot be used; the message says why.

    What it holds is unknown afterwards: :meth:`Transport.reset` comes next, or nothing.
    """


class NoAnswer(TransportError):
    """Nothing, or not enough, arrived before a time-out."""


class Stalled(TransportError):
    """The device answers, but its accelerator does not go on."""


class WrongDevice(TransportError):
    """What is connected is no accelerator, or has another version of the protocol."""


class Disconnected(TransportError):
    """The port is gone, for instance as the cable was pulled. Nothing can be sent any more."""


class Transport(Protocol):
    """Carries packets (uint64, see :mod:`egru_hw.contract.protocol`) to an accelerator and back.

    A transport does not interpret packets, except that it tells EVENT replies from others. It is
    used by one thread.

    The accelerator keeps its model, states and counters between calls. Each command that was sent
    is carried out exactly once and in order. Replies wait until they are received, however many
    they are, so that a host may send without receiving.

    No call lasts for ever. After a ``TransportError`` only :meth:`reset` and :meth:`close` may
    follow.
    """

    def reset(self) -> None:
        """Begin a session.

        Whatever was in progress is aborted and no reply is pending: the next reply answers the next
        command. What the accelerator's memories hold remains.
        """
        ...

    def send(self, packets: np.ndarray) -> None:
        """Hand ``packets`` over for delivery, in order; may wait until there is room for them."""
        ...

    def receive(self, count: int) -> np.ndarray:
        """The next replies, in order: up to and including the ``count``-th that is no EVENT."""
        ...

    def close(self) -> None:
        """Release the connection. Harmless if done before."""
        ...
