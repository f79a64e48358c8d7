"""The link's end at the host, over a stream of bytes."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from egru_hw.host.session import Session
from egru_hw.host.statistics import Statistics

TIMEOUT = 5.0
"""Seconds without progress after which a call fails."""

BACKLOG = 256
"""Frames that may wait to be sent: a third of a second on the line."""


class Port(Protocol):
    """Bytes in both directions, in order. Any method may raise ``Disconnected``."""

    name: str
    """As messages call it."""

    def read(self, timeout: float) -> bytes:
        """All that has arrived; waits up to ``timeout`` seconds until that is anything."""
        ...

    def write(self, data: bytes) -> None:
        """Send ``data``; may wait while the port's buffers are full."""
        ...

    def now(self) -> float:
        """Seconds, from any beginning."""
        ...

    def close(self) -> None: ...


class Line:
    """A :class:`~egru_hw.host.transport.Transport` over ``port``. Data flows within calls only.

    Every call raises a ``TransportError`` after ``timeout`` seconds without progress.
    """

    def __init__(self, port: Port, timeout: float = TIMEOUT):
        self._port, self._timeout = port, timeout
        self.statistics = Statistics()
        self._session = self._new_session()

    def reset(self) -> None:
        self._session = self._new_session()
        self._run(lambda: self._session.open)

    def send(self, packets: np.ndarray) -> None:
        self._session.send(packets)
        self._run(lambda: self._session.backlog <= BACKLOG)

    def receive(self, count: int) -> np.ndarray:
        self._session.wanted = count
        self._run(lambda: self._session.available >= count)
        self._session.wanted = 0
        return self._session.take(count)

    def close(self) -> None:
        self._port.close()

    def _new_session(self) -> Session:
        device = f"the device on {self._port.name}"
        return Session(device, self._timeout, self._port.now(), self.statistics)

    def _run(self, done: Callable[[], bool]) -> None:
        """Exchange data until ``done``."""
        begin = self._port.now()
        self._session.start_waiting(begin)
        self._write()
        while not done():
            self._read()
            self._write()
        self.statistics.seconds += self._port.now() - begin

    def _write(self) -> None:
        if data := self._session.output(self._port.now()):
            self._port.write(data)

    def _read(self) -> None:
        data = self._port.read(self._session.wait(self._port.now()))
        self._session.input(data, self._port.now())
