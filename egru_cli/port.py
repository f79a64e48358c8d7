"""The option ``--port``, and the device behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from serial.tools import list_ports

import egru_hw
from egru_hw.host.device import Device
from egru_hw.host.serial_port import PortError
from egru_hw.host.statistics import Statistics

FTDI_VENDOR, FT_X_PRODUCT = 0x0403, 0x6015
"""USB identity of the FT231X, the serial adapter of ULX3S."""

Port = Annotated[
    str | None,
    typer.Option(
        metavar="PORT",
        help="Serial port of the device: a board's, or that of egru board.",
        show_default="the only port that looks like a board",
    ),
]


@contextmanager
def connected(port: str | None) -> Iterator[Device]:
    """The device on ``port``; without one, on the only port that looks like a board.

    Raises:
        TransportError: there is no such port, or none or several that look like a board; or no
            device answers there that can be used.
    """
    with egru_hw.connect(_only_board() if port is None else port) as device:
        yield device


def link_facts(line: Statistics) -> dict[str, Any]:
    """Every figure of a line, ready for JSON."""
    return {**asdict(line), "share": line.share}


def _only_board() -> str:
    ports = list_ports.comports()
    boards = [p for p in ports if (p.vid, p.pid) == (FTDI_VENDOR, FT_X_PRODUCT)]
    if len(boards) == 1:
        return boards[0].device
    found = "no serial port looks" if not boards else "several serial ports look"
    raise PortError(f"{found} like a board: choose one with --port; {_listed(boards or ports)}")


def _listed(ports: list) -> str:
    if not ports:
        return "there are none"
    return "there are " + ", ".join(f"{port.device} ({port.description})" for port in ports)
