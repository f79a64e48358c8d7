"""``--port``: which port is taken."""

from types import SimpleNamespace

import pytest

import egru_hw
from egru_cli import port as ports
from egru_hw.host.serial_port import PortError
from tests.helpers.command import invoke


def usb(device, vid=None, pid=None):
    return SimpleNamespace(device=device, vid=vid, pid=pid, description="some adapter")


BOARD, OTHER_BOARD = (usb(f"/dev/ttyUSB{n}", 0x0403, 0x6015) for n in range(2))
MODEM = usb("/dev/ttyS0")


@pytest.fixture
def system(monkeypatch):
    """Makes the system have certain serial ports; returns those that are opened."""
    opened = []

    def has(*found, reason: str = "no"):
        monkeypatch.setattr(ports.list_ports, "comports", lambda: list(found))

        def connect(port):
            opened.append(port)
            raise PortError(reason)

        monkeypatch.setattr(egru_hw, "connect", connect)
        return opened

    return has


def refusal(*words) -> str:
    result = invoke("info", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr.removeprefix("error: ").removesuffix("\n")


def test_the_only_board_is_taken(system):
    opened = system(MODEM, BOARD)
    refusal()
    assert opened == ["/dev/ttyUSB0"]


def test_a_given_port_is_taken(system):
    opened = system(MODEM, BOARD)
    refusal("--port", "/dev/ttyS0")
    assert opened == ["/dev/ttyS0"]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ((), "no serial port looks like a board: choose one with --port; there are none"),
        (
            (MODEM,),
            "no serial port looks like a board: choose one with --port; there are /dev/ttyS0 "
            "(some adapter)",
        ),
        (
            (BOARD, MODEM, OTHER_BOARD),
            "several serial ports look like a board: choose one with --port; there are "
            "/dev/ttyUSB0 (some adapter), /dev/ttyUSB1 (some adapter)",
        ),
    ],
)
def test_without_exactly_one_board_the_ports_are_listed(system, found, sentence):
    assert not system(*found)
    assert refusal() == sentence


def test_a_port_that_cannot_be_used_is_one_sentence(system):
    system(BOARD, reason="it is in use")
    assert refusal() == "it is in use"
