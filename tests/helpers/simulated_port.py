"""A serial port in simulated time: a USB adapter, a line with faults, and a device behind it."""

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np

from egru_hw.host.transport import Disconnected
from egru_hw.link.frames import BAUD
from tests.helpers.device_model import DeviceModel

BYTE = 10 / BAUD  # seconds
PACKET = 62  # bytes of payload after which an adapter sends what it has received
TICK = 31  # bytes that the line carries before the simulation looks again
HOST_BUFFER = 4096  # bytes that wait for the line before a write waits


class Kind(Enum):
    """What a fault does to the bytes at its position."""

    FLIP = "one bit is wrong"
    DROP = "bytes are lost"
    DUPLICATE = "bytes arrive twice"
    INSERT = "bytes arrive that were not sent"
    BURST = "bytes are noise"
    DELAY = "the line stops for a while"
    CUT = "nothing crosses the line any more"
    PULL = "the port disappears"
    POWER = "the device is switched off and on"


@dataclass(frozen=True)
class Fault:
    """``size`` bytes, or milliseconds, from byte ``position`` on of a direction."""

    kind: Kind
    to_device: bool
    position: int
    size: int
    seed: int = 0


class Wire:
    """One direction of the line. Each fault strikes once."""

    def __init__(self, faults: list[Fault]):
        self.faults = deque(sorted(faults, key=lambda fault: fault.position))
        self.carried = 0

    def carry(self, data: bytes) -> tuple[bytes, list[Fault]]:
        """What arrives, and the faults that the bytes alone do not show."""
        begin, self.carried = self.carried, self.carried + len(data)
        struck = []
        while self.faults and self.faults[0].position < self.carried:
            fault = self.faults.popleft()
            at = max(fault.position - begin, 0)
            rng = np.random.default_rng(fault.seed)
            head, hit, tail = data[:at], data[at : at + fault.size], data[at + fault.size :]
            if fault.kind is Kind.FLIP and hit:
                hit = bytes([hit[0] ^ 1 << int(rng.integers(8))]) + hit[1:]
            elif fault.kind is Kind.DROP:
                hit = b""
            elif fault.kind is Kind.DUPLICATE:
                hit *= 2
            elif fault.kind is Kind.INSERT:
                hit += rng.bytes(fault.size)
            elif fault.kind is Kind.BURST:
                hit = rng.bytes(len(hit))
            else:
                struck.append(fault)
            data = head + hit + tail
        return data, struck


class SimulatedPort:
    """The host's end.

    Args:
        device: at the other end.
        latency: of the adapter's timer in seconds.
        usb: seconds that anything takes from the host to the adapter, or back.
        faults: what goes wrong.
    """

    name = "the simulated port"

    def __init__(
        self,
        device: DeviceModel,
        latency: float = 1e-3,
        faults: tuple[Fault, ...] = (),
        usb: float = 0.5e-3,
    ):
        self.device, self.latency, self.usb = device, latency, usb
        self._time = 0.0
        self.wires = {way: Wire([f for f in faults if f.to_device is way]) for way in (True, False)}
        self._out: deque[tuple[float, bytes]] = deque()  # when the adapter has them
        self._outgoing = b""  # in the adapter, on the way out
        self._adapter = b""  # received and not passed on
        self._flushed = 0.0
        self._in: deque[tuple[float, bytes]] = deque()  # when the host has them
        self._stopped_until = 0.0
        self._cut = self._gone = False

    def now(self) -> float:
        return self._time

    def write(self, data: bytes) -> None:
        self._check()
        self._out.append((self._time + self.usb, data))
        while sum(len(waiting) for _, waiting in self._out) + len(self._outgoing) > HOST_BUFFER:
            self._tick()

    def read(self, timeout: float) -> bytes:
        end = self._time + timeout
        while True:
            self._check()
            found = b""
            while self._in and self._in[0][0] <= self._time:
                found += self._in.popleft()[1]
            if found or self._time >= end:
                return found
            self._tick()

    def close(self) -> None:
        self._gone = True

    def _check(self) -> None:
        if self._gone:
            raise Disconnected(f"{self.name} is gone: is the cable pulled?")

    def _tick(self) -> None:
        """The time of TICK bytes passes."""
        self._time += TICK * BYTE
        while self._out and self._out[0][0] <= self._time:
            self._outgoing += self._out.popleft()[1]
        if self._time < self._stopped_until:
            return
        data, self._outgoing = self._outgoing[:TICK], self._outgoing[TICK:]
        self.device.receive(self._carried(True, data))
        self._adapter += self._carried(False, self.device.transmit(TICK))
        full = len(self._adapter) // PACKET * PACKET
        if self._time - self._flushed >= self.latency:
            full, self._flushed = len(self._adapter), self._time
        if full:
            self._in.append((self._time + self.usb, self._adapter[:full]))
            self._adapter = self._adapter[full:]

    def _carried(self, to_device: bool, data: bytes) -> bytes:
        data, struck = self.wires[to_device].carry(data)
        for fault in struck:
            if fault.kind is Kind.DELAY:
                self._stopped_until = self._time + fault.size / 1000
            elif fault.kind is Kind.CUT:
                self._cut = True
            elif fault.kind is Kind.PULL:
                self._gone = True
            elif fault.kind is Kind.POWER:
                self.device.power_up()
        return b"" if self._cut else data
