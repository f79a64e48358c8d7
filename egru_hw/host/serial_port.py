"""A serial port of this computer, and the device on it."""

import errno
import getpass
import os
import time
from contextlib import suppress

import serial
from serial.tools import list_ports

from egru_hw.host.device import Device
from egru_hw.host.line import TIMEOUT, BackgroundLine
from egru_hw.host.transport import Disconnected, NoAnswer, TransportError
from egru_hw.link.frames import BAUD

try:
    from termios import error as TerminalError
except ModuleNotFoundError:  # no POSIX system
    TerminalError = OSError  # type: ignore[misc, assignment]

GONE = (OSError, TerminalError)
"""What pyserial lets through when a port vanishes."""

POLL = 0.02
"""Seconds that a read waits at a time."""


class PortError(TransportError):
    """The port cannot be opened; the message says what to do."""


def connect(port: str, timeout: float = TIMEOUT) -> Device:
    """The device on a serial port, such as "/dev/ttyUSB0". To be closed, or used by ``with``.

    Args:
        port: the name of the port.
        timeout: seconds without progress after which any call to the device fails.

    Raises:
        PortError: there is no such port, or it cannot be opened.
        WrongDevice: what is connected there is no accelerator, or of another version.
        TransportError: nothing answers.
    """
    line = BackgroundLine(SerialPort(port, timeout), timeout)
    try:
        return Device(line)
    except BaseException:
        line.close()
        raise


class SerialPort:
    """A :class:`~egru_hw.host.line.Port`, opened for this process alone.

    Args:
        name: as the system calls it.
        timeout: seconds that a write waits at most.

    Raises:
        PortError: it cannot be opened.
    """

    def __init__(self, name: str, timeout: float):
        self.name = name
        self._timeout = timeout
        try:
            self._port = serial.Serial(
                name, BAUD, timeout=POLL, write_timeout=timeout, exclusive=True
            )
        except (*GONE, ValueError) as error:
            raise PortError(_reason(name, error)) from None
        # An adapter passes on at once what it receives. Not all systems and ports can do this.
        with suppress(AttributeError, NotImplementedError, ValueError):
            self._port.set_low_latency_mode(True)

    def read(self, timeout: float) -> bytes:
        try:
            waiting = self._port.in_waiting
            if waiting or not timeout:
                return self._port.read(waiting)
            first = self._port.read(1)
            return first + self._port.read(self._port.in_waiting) if first else b""
        except GONE:
            raise self._gone() from None

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise NoAnswer(f"{self.name} has taken no bytes for {self._timeout:g} s") from None
        except GONE:
            raise self._gone() from None

    def now(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        self._port.close()

    def _gone(self) -> Disconnected:
        return Disconnected(
            f"{self.name} is gone: check the cable and the board's power, then connect again"
        )


def _reason(name: str, error: Exception) -> str:
    """Why ``name`` cannot be opened, and what to do."""
    match getattr(error, "errno", None) or error.args[0]:  # termios.error has no errno
        case errno.ENOENT | errno.ENODEV | errno.ENXIO | errno.EIO:
            ports = ", ".join(port.device for port in list_ports.comports())
            there = f"the ports are {ports}" if ports else "no serial port is connected"
            return f"there is no port {name}: {there}"
        case errno.EAGAIN | errno.EBUSY:
            return f"{name} is in use by another program: close that first"
        case errno.EACCES | errno.EPERM:
            group = _group(name)
            return (
                f"you may not open {name}, which belongs to the group {group}: join it with "
                f"'sudo usermod -aG {group} {getpass.getuser()}', and log in again"
            )
    return f"{name} is no serial port"


def _group(name: str) -> str:
    import grp

    number = os.stat(name).st_gid
    with suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return str(number)
