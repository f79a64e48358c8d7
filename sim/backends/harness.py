"""A running ``harness.cpp``: requests to it, and its answers."""

import subprocess
from collections.abc import Sequence
from enum import IntEnum
from typing import NoReturn

import numpy as np

from egru_hw.host.transport import TransportError

EXIT_TIME = 10  # seconds for the harness to end, and to write the last of its waveforms


class Request(IntEnum):
    """What the harness is asked for; see there."""

    RESET = 0
    SEND = 1
    RECEIVE = 2


class Harness:
    """The process that ``command`` starts. It ends with this one, however this one ends.

    Every method raises ``TransportError`` if the process has ended.
    """

    def __init__(self, command: Sequence[str]):
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)

    def request(self, request: Request, number: int, packets: np.ndarray | None = None) -> None:
        assert self._process.stdin
        head = np.array([request, number], np.uint64)
        try:
            self._process.stdin.write(head.tobytes())
            if packets is not None:
                self._process.stdin.write(np.ascontiguousarray(packets, np.uint64).tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            self._broke_off()

    def answer(self, words: int) -> np.ndarray:
        """As many words of the answer (uint64), once they are there."""
        assert self._process.stdout
        answer = self._process.stdout.read(8 * words)
        if len(answer) < 8 * words:
            self._broke_off()
        return np.frombuffer(answer, np.uint64)

    def close(self) -> None:
        """End the process."""
        try:
            self._process.communicate(timeout=EXIT_TIME)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _broke_off(self) -> NoReturn:
        _, errors = self._process.communicate()
        why = errors.decode(errors="replace").strip() or f"status {self._process.returncode}"
        raise TransportError(f"the simulation broke off: {why}") from None
