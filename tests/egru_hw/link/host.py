"""The host's part of docs/link.md at its simplest, and a line that spoils what it carries."""

from collections.abc import Callable

import numpy as np

from egru_hw.contract.protocol import VERSION, Command, Reply
from egru_hw.link import packing
from egru_hw.link.frames import (
    DELIMITER,
    IDENTITY_BYTES,
    SLOTS,
    DamagedFrame,
    Frame,
    FromDevice,
    ToDevice,
    decode_from_device,
    encode,
)
from tests.egru_hw.link.device import IDENTITY, Device

Line = Callable[[bytes], bytes]


def spoiling(rng: np.random.Generator, rate: float) -> Line:
    """A line that flips, drops, repeats and inserts bytes, or a burst of them, each at ``rate``."""
    if not rate:
        return lambda data: data

    def line(data: bytes) -> bytes:
        spoilt = bytearray()
        for byte in data:
            fault = rng.random() / rate
            if fault < 1:
                byte ^= 1 << int(rng.integers(8))
            elif fault < 2:
                continue
            elif fault < 3:
                spoilt.append(byte)
            elif fault < 4:
                spoilt.append(int(rng.integers(256)))
            elif fault < 4.2:
                spoilt += rng.bytes(int(rng.integers(1, 300)))
            elif fault < 4.4 and len(spoilt):
                del spoilt[-int(rng.integers(1, len(spoilt) + 1)) :]
            spoilt.append(byte)
        return bytes(spoilt)

    return line


def received(data: bytes) -> list[Frame | None]:
    """The frames in bytes from the device; None for a damaged one."""
    frames: list[Frame | None] = []
    for encoded in data.split(DELIMITER):
        if encoded:
            try:
                frames.append(decode_from_device(encoded))
            except DamagedFrame:
                frames.append(None)
    return frames


def greeting(nonce: bytes) -> bytes:
    return DELIMITER + encode(Frame(ToDevice.HELLO, payload=nonce))


class Host:
    """Sends commands and gathers replies. A time-out is that the device has come to rest."""

    def __init__(self, device: Device, rng: np.random.Generator, line: Line):
        self.device, self.rng, self.line = device, rng, line
        self.nonce = b""
        self.expected = self.acked = self.consumed = self.next = 0
        self.asked = False
        self.payloads: list[bytes] = []
        self.replies: list[int] = []

    def exchange(self, data: bytes) -> list[Frame | None]:
        self.device.receive(self.line(data))
        return received(self.line(self.device.settle()))

    def greet(self, attempts: int = 100) -> None:
        for _ in range(attempts):
            self.nonce = self.rng.bytes(4)
            answer = self.exchange(greeting(self.nonce))
            for number, frame in enumerate(answer):
                if frame and frame.kind == FromDevice.WELCOME and frame.payload[:4] == self.nonce:
                    identity = IDENTITY.to_bytes(IDENTITY_BYTES, "little")
                    assert frame.payload == self.nonce + bytes([VERSION]) + identity
                    assert (frame.number, frame.ack, frame.consumed) == (0, 0, 0)
                    self.expected = self.acked = self.consumed = self.next = 0
                    self.payloads, self.replies, self.asked = [], [], False
                    self.take(answer[number + 1 :])
                    return
        raise AssertionError(f"no WELCOME after {attempts} greetings")

    def run(self, commands: np.ndarray, replies: int, limit: int, attempts: int = 400) -> None:
        """Have all ``commands`` executed, in payloads of at most ``limit`` bytes."""
        self.payloads = list(packing.payloads(commands, Command, limit))
        again = False  # the last attempt changed nothing
        for _ in range(attempts):
            if self.consumed == len(self.payloads) and len(self.replies) >= replies:
                return
            before = self.acked, self.consumed, self.expected, self.next
            self.take(self.exchange(self.due() + (self.frame(ToDevice.RESEND) if again else b"")))
            again = before == (self.acked, self.consumed, self.expected, self.next)
        raise AssertionError(f"not through after {attempts} attempts")

    def due(self) -> bytes:
        """DATA frames as far as the window allows, and an ACK."""
        end = min(self.consumed + SLOTS, len(self.payloads))
        data = b""
        while self.next < end:
            data += self.frame(ToDevice.DATA, self.payloads[self.next])
            self.next += 1
        return data + self.frame(ToDevice.ACK)

    def frame(self, kind: ToDevice, payload: bytes = b"") -> bytes:
        return encode(Frame(kind, self.next % 256, self.expected % 256, payload=payload))

    def take(self, frames: list[Frame | None]) -> None:
        for frame in frames:
            if frame is None:
                self.ask()
                continue
            if frame.kind == FromDevice.WELCOME:
                continue
            # Numbers of a session of this one's length are unique if they are near enough.
            ack = self.acked + (frame.ack - self.acked) % 256
            if ack <= len(self.payloads):
                self.acked = ack
            consumed = self.consumed + (frame.consumed - self.consumed) % 256
            if consumed <= self.acked:
                self.consumed = consumed
            self.next = max(self.next, self.acked)
            if frame.kind == FromDevice.GAP:
                self.next = self.acked
            if frame.number == self.expected % 256:
                if frame.kind == FromDevice.DATA:
                    self.replies += packing.packets(frame.payload, Reply).tolist()
                    self.expected += 1
                    self.asked = False
            elif (frame.number - self.expected) % 256 < 128:
                self.ask()

    def ask(self) -> None:
        if not self.asked:
            self.asked = True
            self.device.receive(self.line(self.frame(ToDevice.RESEND)))
