"""A device on a serial port: a pseudo-terminal with a model of the device behind it."""

import errno
import os
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import serial
from serial.tools import list_ports

import egru_hw
from egru_hw.contract.config import preset
from egru_hw.host import serial_port
from egru_hw.host.line import BackgroundLine
from egru_hw.host.serial_port import PortError
from egru_hw.host.transport import Disconnected, NoAnswer, Stalled, WrongDevice
from sim.comparison import compare
from sim.random_models import random_inputs, random_model
from tests.helpers.accelerator_model import AcceleratorModel
from tests.helpers.device_model import DeviceModel
from tests.helpers.streams import generator
from tests.helpers.terminal import Terminal

TINY = preset("tiny")
MODEL = random_model(generator(1), 3, (5, 4), 2, threshold=2000)
INPUTS = random_inputs(generator(2), 20, 8, 3)
EXPECTED = MODEL.run(INPUTS)


@pytest.fixture
def terminal():
    with Terminal(DeviceModel(AcceleratorModel(TINY, MODEL), TINY.fingerprint)) as terminal:
        yield terminal


def test_a_device_on_a_port_runs_what_the_integer_model_runs(terminal):
    with egru_hw.connect(terminal.port) as device:
        assert device.config == TINY
        device.load(MODEL)
        assert compare(EXPECTED, device.run(INPUTS)).mismatches == 0
        stream = device.stream()
        first = [stream.step(x).events[0] for x in INPUTS[0]]
        assert (np.array(first) == EXPECTED.events[0][0]).all()
        assert device.info().line.sent > 1000
        assert device.line.repeated == 0


def test_one_host_follows_another(terminal):
    for _ in range(3):
        with egru_hw.connect(terminal.port) as device:
            device.load(MODEL)
            results = device.batches([INPUTS[:1], INPUTS[1:2], INPUTS[2:]])
            assert next(results).states


def test_commands_go_on_while_the_host_computes(terminal):
    with egru_hw.connect(terminal.port) as device:
        device.load(MODEL)
        results = device.batches([INPUTS[:2], INPUTS[2:]])
        next(results)
        received = 0
        while received < (received := device.line.received):
            time.sleep(0.2)
        assert compare(MODEL.run(INPUTS[2:]), next(results)).mismatches == 0
        assert device.line.received == received, "all had arrived before"


def test_a_port_that_disappears_is_an_error(terminal):
    with egru_hw.connect(terminal.port) as device:
        device.load(MODEL)
        terminal.pull()
        with pytest.raises(Disconnected, match=f"^{terminal.port} is gone: check the cable"):
            device.run(INPUTS)
        with pytest.raises((Disconnected, PortError)):
            device.run(INPUTS)


def test_a_port_without_a_device_is_an_error_in_time(terminal):
    terminal.device.receive = lambda data: None
    begin = time.monotonic()
    with pytest.raises(NoAnswer, match=r"has not answered the greeting for 0\.5 s"):
        egru_hw.connect(terminal.port, timeout=0.5)
    assert time.monotonic() - begin < 1.5


def test_a_device_that_stops_is_an_error_in_time(terminal):
    with egru_hw.connect(terminal.port, timeout=0.5) as device:
        device.load(MODEL)
        terminal.device.open = False
        with pytest.raises(NoAnswer, match="has stopped answering"):
            device.run(INPUTS)
        assert compare(EXPECTED, device.run(INPUTS)).mismatches == 0


def test_an_accelerator_that_stops_is_an_error_in_time(terminal):
    with egru_hw.connect(terminal.port, timeout=0.5) as device:
        device.load(MODEL)
        terminal.device.accelerator.execute = lambda command: []
        with pytest.raises(Stalled, match="answers, but its accelerator has not gone on"):
            device.run(INPUTS)


def test_something_else_on_the_port_is_named(terminal):
    terminal.device.transmit = lambda room: b"login: " if room else b""
    with pytest.raises(WrongDevice, match="not as an accelerator does"):
        egru_hw.connect(terminal.port, timeout=0.5)


def test_a_port_is_opened_once(terminal):
    with (
        egru_hw.connect(terminal.port),
        pytest.raises(PortError, match=f"^{terminal.port} is in use by another program"),
    ):
        egru_hw.connect(terminal.port)
    egru_hw.connect(terminal.port).close()


def test_a_port_that_does_not_exist_is_told_with_those_that_do(monkeypatch):
    class Found:
        device = "/dev/ttyUSB7"

    for found, words in (([Found], "the ports are /dev/ttyUSB7"), ([], "no serial port is")):
        monkeypatch.setattr(list_ports, "comports", lambda found=found: found)
        with pytest.raises(PortError, match=f"^there is no port /dev/none: {words}"):
            egru_hw.connect("/dev/none")


def test_no_permission_is_told_with_the_group(monkeypatch, tmp_path):
    port = tmp_path / "port"
    port.touch()

    def refuse(*args, **options):
        raise serial.SerialException(errno.EACCES, "no")

    monkeypatch.setattr(serial, "Serial", refuse)
    import grp

    group = grp.getgrgid(os.stat(port).st_gid).gr_name
    words = f"which belongs to the group {group}: join it with 'sudo usermod -aG {group} "
    with pytest.raises(PortError, match=words):
        egru_hw.connect(str(port))


@pytest.mark.parametrize("make", ["touch", "mkdir"])
def test_what_is_no_serial_port_is_told(make, tmp_path):
    path = tmp_path / "something"
    getattr(path, make)()
    with pytest.raises(PortError, match=f"^{path} is no serial port$"):
        egru_hw.connect(str(path))


def test_an_error_in_the_background_reaches_the_caller(terminal, monkeypatch):
    port = serial_port.SerialPort(terminal.port, 1)
    with closing(BackgroundLine(port)) as line:
        line.reset()
        monkeypatch.setattr(port, "read", lambda timeout: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            line.receive(1)


def test_a_host_needs_neither_torch_nor_a_simulator():
    code = (
        "import sys, egru_hw; egru_hw.connect, egru_hw.Device; "
        "sys.exit(str([m for m in ('torch', 'cocotb', 'sim', 'amaranth.sim', 'amaranth.back') "
        "if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


def test_writes_that_are_not_taken_end_in_time(terminal):
    terminal.pull()
    master, slave = os.openpty()
    try:
        port = serial_port.SerialPort(os.ttyname(slave), 0.3)
        with pytest.raises(NoAnswer, match=r"has taken no bytes for 0\.3 s"):
            port.write(bytes(10**6))
        port.close()
    finally:
        os.close(master)
        os.close(slave)
