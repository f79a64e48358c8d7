"""The link's end at the host, over a stream of bytes."""

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np

from egru_hw.contract.protocol import Command
from egru_hw.host.session import Session
from egru_hw.host.statistics import Statistics
from egru_hw.link import packing
from egru_hw.link.frames import TO_DEVICE_PAYLOAD

TIMEOUT = 5.0
"""Seconds without progress after which a call fails."""

BACKLOG = 256
"""Frames that may wait to be sent: a third of a second on the line."""


class Port(Protocol):
    """Bytes in both directions, in order. Any method may raise ``Disconnected``."""

    name: str
    """As messages call it."""

    def read(self, timeout: float) -> bytes:
        """All that has arrived; if nothing has, waits for it, ``timeout`` seconds at most."""
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
        self._queue(list(packing.payloads(packets, Command, TO_DEVICE_PAYLOAD)))

    def receive(self, count: int) -> np.ndarray:
        self._session.wanted = count
        self._run(lambda: self._session.available >= count)
        self._session.wanted = 0
        return self._session.take(count)

    def close(self) -> None:
        self._port.close()

    def _queue(self, payloads: list[bytes]) -> None:
        self._session.send(payloads)
        self._run(lambda: self._session.backlog <= BACKLOG)

    def _new_session(self) -> Session:
        device = f"the device on {self._port.name}"
        return Session(device, self._timeout, self._port.now(), self.statistics)

    def _run(self, done: Callable[[], bool]) -> None:
        """Exchange data until ``done``."""
        self._session.start_waiting(self._port.now())
        self._write()
        while not done():
            self._step()

    def _step(self) -> None:
        self._session.input(self._port.read(self._wait()), self._port.now())
        self._write()

    def _wait(self) -> float:
        return self._session.wait(self._port.now())

    def _write(self) -> None:
        if data := self._session.output(self._port.now()):
            self._port.write(data)


class BackgroundLine(Line):
    """A line that a thread keeps full, even while the caller computes."""

    def __init__(self, port: Port, timeout: float = TIMEOUT):
        super().__init__(port, timeout)
        self._changed = threading.Condition()  # guards the session
        self._thread: threading.Thread | None = None
        self._closing = False
        self._error: Exception | None = None

    def reset(self) -> None:
        self._stop()
        super().reset()
        self._thread = threading.Thread(target=self._pump, name=self._port.name, daemon=True)
        self._thread.start()

    def receive(self, count: int) -> np.ndarray:
        with self._changed:
            return super().receive(count)

    def close(self) -> None:
        self._stop()
        super().close()

    def _queue(self, payloads: list[bytes]) -> None:
        with self._changed:
            super()._queue(payloads)

    def _step(self) -> None:
        if not self._thread:
            super()._step()
        elif self._error:
            raise self._error
        else:
            self._changed.wait()

    def _pump(self) -> None:
        """Exchange data until closed, or until an error."""
        try:
            while not self._closing:
                data = self._port.read(self._wait())
                with self._changed:
                    self._session.input(data, self._port.now())
                    self._write()
                    self._changed.notify_all()
        except Exception as error:  # for the caller
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _stop(self) -> None:
        if self._thread:
            self._closing = True
            self._thread.join()
        self._thread, self._error, self._closing = None, None, False
