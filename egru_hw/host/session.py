"""The host's part of the link, without input and output: see docs/link.md."""

import math
import secrets
from collections import deque
from collections.abc import Iterable

import numpy as np

from egru_hw.contract.protocol import PACKET, VERSION, Reply
from egru_hw.host.statistics import Statistics
from egru_hw.host.transport import NoAnswer, Stalled, TransportError, WrongDevice
from egru_hw.link import packing
from egru_hw.link.frames import (
    DELIMITER,
    MAX_BYTES,
    NONCE_BYTES,
    SLOTS,
    WELCOME_BYTES,
    DamagedFrame,
    Frame,
    FromDevice,
    ToDevice,
    decode_from_device,
    encode,
)

GREETING = 0.25
"""Seconds after which a greeting is repeated."""

QUIET = 0.1
"""Seconds without a valid frame after which the host asks what was lost. Several times what a USB
adapter (up to 16 ms) and the frames in flight (20 ms) take."""

ACK_EVERY = 4
"""DATA frames after which the host acknowledges, if it has no DATA frame to do so in passing."""

NUMBERS = 256


class Session:
    """Bytes in, bytes out, and the time in seconds; begins with a greeting.

    Frames are counted from 0 without end here; on the line, their numbers are modulo 256.

    Args:
        device: what messages call the device.
        timeout: seconds without progress after which an error is raised.
        now: the time.
        statistics: to be updated.
    """

    def __init__(self, device: str, timeout: float, now: float, statistics: Statistics):
        self._device, self._timeout, self._statistics = device, timeout, statistics
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self.open = False
        self._greet_at = now
        self._noise = False  # whether anything but a WELCOME has come before it

        self._waiting: deque[bytes] = deque()  # payloads not sent yet
        self._kept: deque[bytes] = deque()  # payloads from frame _acked on
        self._acked = self._consumed = 0
        self._cursor = 0  # the next frame to send; before the end of _kept if one is repeated

        self._line = b""  # the start of a frame
        self._expected = 0  # the next DATA frame from the device
        self._acknowledged = 0  # what the device was told of this
        self._resend, self._asked = False, False  # to be asked for; was asked for
        self._probing = False  # whether the next frame tells what was lost
        self._replies: list[np.ndarray] = []
        self.available = 0  # replies but for EVENTs
        self.wanted = 0  # of these

        self._heard = self._progress = now
        self._answered = -math.inf  # when the last valid frame arrived
        self._seen, self._busy = now, True  # whether anything was under way since then

    @property
    def backlog(self) -> int:
        """Frames that have not been sent."""
        return len(self._waiting)

    @property
    def finished(self) -> bool:
        """Whether neither side owes the other anything."""
        return self.open and not (
            self._waiting or self._consumed < self._end or self.available < self.wanted
        )

    @property
    def _end(self) -> int:
        """The number of the next new frame."""
        return self._acked + len(self._kept)

    def start_waiting(self, now: float) -> None:
        """The time-outs begin."""
        self._heard = self._progress = now

    def send(self, payloads: Iterable[bytes]) -> None:
        """Queue the payloads of frames."""
        self._waiting.extend(payloads)

    def take(self, count: int) -> np.ndarray:
        """Replies up to and including the ``count``-th that is no EVENT, all of which are there."""
        replies = np.concatenate([np.empty(0, np.uint64), *self._replies])
        others = np.flatnonzero(_is_no_event(replies))
        end = others[count - 1] + 1 if count else 0
        self._replies = [replies[end:]]
        self.available -= count
        return replies[:end]

    def wait(self, now: float) -> float:
        """Seconds after which :meth:`output` is due, if nothing arrives."""
        if not self.open:
            return max(0.0, self._greet_at - now)
        return QUIET if self.finished else max(0.0, self._heard + QUIET - now)

    def output(self, now: float) -> bytes:
        """What to write now. To be called after all that has arrived was given to :meth:`input`.

        Raises:
            TransportError: there was no progress for too long.
        """
        if self._busy:
            self._statistics.seconds += now - self._seen
        self._seen, self._busy = now, not self.finished
        if not self.finished and now - self._progress > self._timeout:
            raise self._give_up(now)
        if not self.open:
            if now < self._greet_at:
                return b""
            self._greet_at = now + GREETING
            return self._count(DELIMITER + encode(Frame(ToDevice.HELLO, payload=self._nonce)))
        if not self.finished and now - self._heard >= QUIET:
            self._heard, self._resend, self._probing = now, True, True
        frames = []
        if self._resend:
            frames.append(self._frame(ToDevice.RESEND, self._cursor))
            self._resend, self._asked = False, True
        while self._cursor - self._consumed < SLOTS and (self._cursor < self._end or self._waiting):
            if self._cursor == self._end:
                self._kept.append(self._waiting.popleft())
            else:
                self._statistics.repeated += 1
            payload = self._kept[self._cursor - self._acked]
            frames.append(self._frame(ToDevice.DATA, self._cursor, payload))
            self._cursor += 1
        if not frames and self._expected - self._acknowledged >= ACK_EVERY:
            frames.append(self._frame(ToDevice.ACK, self._cursor))
        return self._count(b"".join(frames))

    def input(self, data: bytes, now: float) -> None:
        """Take what has arrived.

        Raises:
            WrongDevice: the device has another version of the protocol.
        """
        *lines, rest = (self._line + data).split(DELIMITER)
        self._line = rest[-2 * MAX_BYTES :]  # more is no frame
        for line in filter(None, lines):
            self._busy = True
            self._statistics.received += len(line) + len(DELIMITER)
            try:
                frame = decode_from_device(line)
            except DamagedFrame:
                frame = None
            if not self.open:
                self._greeted(frame, now)
            elif frame is None or not self._plausible(frame):
                self._ask()
            elif frame.kind != FromDevice.WELCOME:  # of which several come if HELLO is repeated
                self._take(frame, now)

    def _greeted(self, frame: Frame | None, now: float) -> None:
        if (
            frame is None
            or frame.kind != FromDevice.WELCOME
            or len(frame.payload) != WELCOME_BYTES
            or not frame.payload.startswith(self._nonce)
        ):
            self._noise = True
            return
        if (version := frame.payload[NONCE_BYTES]) != VERSION:
            raise WrongDevice(
                f"{self._device} has version {version} of the protocol, and this host {VERSION}: "
                f"use a host of that version, or rebuild the bitstream"
            )
        self.open = True
        self.start_waiting(now)

    def _plausible(self, frame: Frame) -> bool:
        """Whether the session can have led to the frame, in case old ones arrive again."""
        assert frame.consumed is not None
        ack, consumed = _after(self._acked, frame.ack), _after(self._consumed, frame.consumed)
        return frame.kind == FromDevice.WELCOME or (
            consumed <= ack <= self._end
            and _after(self._expected - SLOTS, frame.number) <= self._expected + SLOTS
        )

    def _take(self, frame: Frame, now: float) -> None:
        assert frame.consumed is not None
        self._heard = self._answered = now
        ack, consumed = _after(self._acked, frame.ack), _after(self._consumed, frame.consumed)
        if ack > self._acked or consumed > self._consumed:
            self._progress = now
        for _ in range(self._acked, ack):
            self._kept.popleft()
        self._acked, self._consumed = ack, consumed
        number = _after(self._expected - SLOTS, frame.number)
        if frame.kind == FromDevice.GAP or self._probing:
            missed = number == self._expected and frame.kind == FromDevice.DATA
            self._statistics.mended += self._cursor > ack or missed
            self._cursor = ack
            self._probing = False
        self._cursor = max(self._cursor, ack)

        if number > self._expected:
            self._ask()
        elif number == self._expected:
            self._asked = False
            if frame.kind == FromDevice.DATA:
                self._expected += 1
                replies = packing.packets(frame.payload, Reply)
                self._replies.append(replies)
                self.available += int(np.count_nonzero(_is_no_event(replies)))
                self._progress = now

    def _ask(self) -> None:
        """Ask for what is missing, unless that was done."""
        if not self._asked and not self._resend:
            self._statistics.mended += 1
            self._resend = True

    def _frame(self, kind: ToDevice, number: int, payload: bytes = b"") -> bytes:
        self._acknowledged = self._expected
        return encode(Frame(kind, number % NUMBERS, self._expected % NUMBERS, payload=payload))

    def _count(self, data: bytes) -> bytes:
        self._statistics.sent += len(data)
        return data

    def _give_up(self, now: float) -> TransportError:
        if self.open and now - self._answered < self._timeout / 2:
            return Stalled(
                f"{self._device} answers, but its accelerator has not gone on for "
                f"{self._timeout:g} s: reset the board, or program it again"
            )
        if self.open:
            return NoAnswer(
                f"{self._device} has stopped answering for {self._timeout:g} s: check its cable "
                f"and power, then connect again"
            )
        if self._noise or self._line:
            return WrongDevice(
                f"{self._device} answers, but not as an accelerator does: is it another port, or "
                f"a board with another bitstream?"
            )
        return NoAnswer(
            f"{self._device} has not answered the greeting for {self._timeout:g} s: is the "
            f"bitstream loaded, and is this the board's port?"
        )


def _after(first: int, number: int) -> int:
    """The frame from ``first`` on that has ``number`` on the line."""
    return first + (number - first) % NUMBERS


def _is_no_event(replies: np.ndarray) -> np.ndarray:
    return replies >> np.uint64(PACKET["code"].offset) != Reply.EVENT
