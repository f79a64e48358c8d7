"""The device's end of the link in Python, written from docs/link.md."""

from collections import deque
from typing import Protocol

from egru_hw.contract.protocol import VERSION, Command, Reply
from egru_hw.link import packing
from egru_hw.link.frames import (
    DELIMITER,
    FROM_DEVICE_PAYLOAD,
    NONCE_BYTES,
    PADDING,
    SLOTS,
    DamagedFrame,
    Frame,
    FromDevice,
    ToDevice,
    decode_to_device,
    encode,
)


class Accelerator(Protocol):
    """What the link drives."""

    def power_up(self) -> None: ...

    def reset(self) -> None: ...

    def execute(self, command: int) -> list[int]:
        """The replies to a packet."""
        ...


class DeviceModel:
    """Bytes in, bytes out. It has no timers."""

    def __init__(self, accelerator: Accelerator, identity: int, version: int = VERSION):
        self.accelerator = accelerator
        self.welcome = bytes([version]) + identity.to_bytes(4, "little")
        self.power_up()

    def power_up(self) -> None:
        self.open = False
        self.accelerator.power_up()
        self._line, self._output = b"", b""
        self._begin()

    def _begin(self) -> None:
        self._inbox: deque[deque[int]] = deque()  # commands of each frame that was stored
        self._replies: deque[int] = deque()  # of the last command, not in a frame yet
        self._outbox: deque[bytes] = deque()  # payloads from frame _released on
        self._filling = b""  # the next one, not closed yet
        self._expected = self._consumed = self._released = self._cursor = 0
        self._nonce: bytes | None = None
        self._gap, self._gap_sent, self._status = False, False, False
        self._told = (0, 0)
        self._padding = 0

    def receive(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(DELIMITER)
        for line in filter(None, lines):
            self._frame(line)

    def _frame(self, line: bytes) -> None:
        try:
            frame = decode_to_device(line)
        except DamagedFrame:
            self._want_gap()
            return
        if frame.kind == ToDevice.HELLO and len(frame.payload) == NONCE_BYTES:
            self.accelerator.reset()
            self._begin()
            self.open, self._nonce = True, frame.payload
        if not self.open:
            return
        ahead = (frame.number - self._expected) % 256
        if frame.kind == ToDevice.DATA:
            if ahead == 0 and self._expected - self._consumed < SLOTS:
                packets = packing.packets(frame.payload, Command).tolist()
                self._inbox.append(deque(packets))
                self._expected += 1
            elif ahead >= 128:
                self._status = True
        if ahead == 0:
            self._gap_sent = False
        elif ahead < 128:
            self._gap_sent &= frame.kind != ToDevice.RESEND
            self._want_gap()
        end = self._released + len(self._outbox)
        acknowledged = (frame.ack - self._released) % 256
        if acknowledged <= end - self._released:
            for _ in range(acknowledged):
                self._outbox.popleft()
            self._released += acknowledged
            self._cursor = max(self._cursor, self._released)
        if frame.kind == ToDevice.RESEND:
            self._cursor = self._released
            self._status |= not self._outbox

    def _want_gap(self) -> None:
        self._gap |= not self._gap_sent

    def run(self) -> None:
        """Let the accelerator take commands while there is room for the replies."""
        while True:
            while self._replies:
                payload = _bytes(self._replies[0])
                if len(self._filling) + len(payload) > FROM_DEVICE_PAYLOAD:
                    self._close()
                if not self._filling and len(self._outbox) == SLOTS:
                    return
                self._filling += payload
                self._replies.popleft()
            if not self._inbox:
                return
            if self._inbox[0]:
                self._replies.extend(self.accelerator.execute(self._inbox[0].popleft()))
            else:
                self._inbox.popleft()
                self._consumed += 1

    def _close(self) -> None:
        self._outbox.append(self._filling)
        self._filling = b""

    def transmit(self, room: int) -> bytes:
        """The next bytes on the line, at most ``room``."""
        self.run()
        while len(self._output) < room and self.open:
            if frame := self._next_frame():
                self._output += frame
                self._padding = PADDING
                self.run()
            elif self._padding:
                self._output += DELIMITER
                self._padding -= 1
            else:
                break
        sent, self._output = self._output[:room], self._output[room:]
        return sent

    def _next_frame(self) -> bytes:
        if self._nonce is not None:
            payload, self._nonce = self._nonce + self.welcome, None
            return self._encoded(FromDevice.WELCOME, payload=payload)
        if self._gap:
            self._gap, self._gap_sent, self._status = False, True, False
            return self._encoded(FromDevice.GAP)
        if self._cursor == self._released + len(self._outbox) and self._filling:
            self._close()
        if self._cursor < self._released + len(self._outbox):
            payload = self._outbox[self._cursor - self._released]
            number, self._cursor = self._cursor, self._cursor + 1
            self._status = False
            return self._encoded(FromDevice.DATA, number, payload)
        if self._status or self._told != (self._expected, self._consumed):
            self._status = False
            return self._encoded(FromDevice.STATUS)
        return b""

    def _encoded(self, kind: FromDevice, number: int | None = None, payload: bytes = b"") -> bytes:
        self._told = (self._expected, self._consumed)
        if number is None:
            number = self._cursor
        return encode(
            Frame(kind, number % 256, self._expected % 256, self._consumed % 256, payload)
        )


def _bytes(reply: int) -> bytes:
    """A packet on the line."""
    head, value = divmod(reply, 1 << 32)
    size = packing.SIZES[Reply][head >> 12] - packing.HEAD_BYTES
    return head.to_bytes(2, "little") + value.to_bytes(4, "little")[:size]
