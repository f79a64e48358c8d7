"""The whole path: a host program, a serial port, the bits of the line, and a board's design."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import egru_hw
from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from egru_hw.host.transport import Disconnected, TransportError
from sim import compare
from sim.random_models import random_case, random_inputs, random_model
from sim.virtual_board import FAULTS, VirtualBoard
from tests.helpers.streams import generator

TINY = preset("tiny")
READOUTS = ("mean", "steps", "last")


def case(rng, readout="mean"):
    model = random_model(rng, 3, (7, 5), 4, threshold=2000, readout=readout)
    return model, random_inputs(rng, 4, 9, 3)


@pytest.fixture
def board():
    with VirtualBoard(TINY) as board:
        yield board


@pytest.mark.parametrize("readout", READOUTS)
def test_a_model_is_exact_over_the_line(board, readout):
    model, inputs = case(generator(1), readout)
    with egru_hw.connect(board.port) as device:
        device.load(model)
        comparison = compare(model.run(inputs), device.run(inputs))
    assert comparison.compared > 0
    assert comparison.mismatches == 0


def test_a_stream_is_exact_over_the_line(board):
    model, inputs = case(generator(2), "steps")
    expected = model.run(inputs[:1])
    with egru_hw.connect(board.port) as device:
        device.load(model)
        stream = device.stream()
        for step, x in enumerate(inputs[0]):
            assert (stream.step(x).outputs == expected.outputs[0, step]).all()


def test_a_model_in_the_bitstream_runs_without_loading():
    model, inputs = case(generator(3))
    with VirtualBoard(TINY, build_image(model, TINY)) as board:
        with egru_hw.connect(board.port) as device:
            device.load(model)
            assert compare(model.run(inputs), device.run(inputs)).mismatches == 0
        sent = board.close().to_device
    steps = inputs.shape[0] * inputs.shape[1]
    assert sent < 10 * steps * inputs.shape[2], "no weights crossed the line"


@pytest.mark.parametrize(
    ("fault", "rate"),
    [("flip", 2e-3), ("drop", 2e-3), ("duplicate", 2e-3), ("delay", 2e-3), ("silence", 4e-4)],
)
def test_faults_of_the_line_are_mended(fault, rate):
    rng = generator(4)
    with VirtualBoard(TINY, faults={fault: rate}, seed=4) as board:
        with egru_hw.connect(board.link) as device:
            for _ in range(4):
                model, inputs = random_case(rng, TINY, 8)
                device.load(model)
                assert compare(model.run(inputs), device.run(inputs)).mismatches == 0
            assert device.line.mended > 0 or fault == "delay"
        assert board.close().faults[fault] > 1


def test_a_reset_of_the_board_is_one_error_and_then_forgotten():
    model, inputs = case(generator(5))
    errors = results = 0
    with VirtualBoard(TINY, faults={"reset": 1e-4}, seed=5) as board:
        with egru_hw.connect(board.link, timeout=0.3) as device:
            for _ in range(100):
                if errors and results > 3:
                    break
                try:
                    device.load(model)
                    assert compare(model.run(inputs), device.run(inputs)).mismatches == 0
                    results += 1
                except TransportError as error:
                    print(error)
                    errors += 1
    assert errors
    assert results > 3


def test_a_pulled_cable_is_one_sentence():
    model, inputs = case(generator(6))

    def session():
        with egru_hw.connect(board.link) as device:
            device.load(model)
            for _ in range(100):
                device.run(inputs)

    with VirtualBoard(TINY, faults={"unplug": 1e-2}, seed=6) as board:
        with pytest.raises(Disconnected, match="is gone: check the cable"):
            session()


def test_no_link_names_a_port_that_has_vanished():
    dangling = vanished = 0
    with VirtualBoard(TINY, faults={"unplug": 0.9}, seed=11) as board:
        while vanished < 10:
            with suppress(OSError):
                port = os.open(board.link, os.O_RDWR | os.O_NOCTTY)
                os.write(port, b"a byte that pulls the cable")
                os.close(port)
            time.sleep(0.005)
            vanished += not os.path.lexists(board.link)
            dangling += os.path.lexists(board.link) and not os.path.exists(board.link)
            assert dangling < 5  # some, if the port vanishes just now


HOST = """
import sys, egru_hw
from egru_hw.contract.config import preset
from sim.random_models import random_model, random_inputs
from tests.helpers.streams import generator
model = random_model(generator(7), 3, (7, 5), 4, threshold=2000)
with egru_hw.connect(sys.argv[1]) as device:
    print("begun", flush=True)
    while True:
        device.load(model)
        device.run(random_inputs(generator(8), 50, 9, 3))
"""


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.2])
def test_a_host_that_is_killed_leaves_the_next_one_a_working_board(board, seconds):
    model, inputs = case(generator(9))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOST, board.port], stdout=pipe) as host:
        while host.stdout.readline() != b"begun\n":
            assert host.poll() is None
        time.sleep(seconds)
        host.kill()
    with egru_hw.connect(board.port) as device:
        device.load(model)
        assert compare(model.run(inputs), device.run(inputs)).mismatches == 0


def test_several_boards_run_side_by_side():
    model, inputs = case(generator(10))
    with VirtualBoard(TINY) as one, VirtualBoard(TINY) as two:
        assert one.port != two.port
        with egru_hw.connect(one.port) as first, egru_hw.connect(two.port) as second:
            first.load(model)
            second.load(model)
            for device in (first, second):
                assert compare(model.run(inputs), device.run(inputs)).mismatches == 0


def test_an_idle_board_takes_no_processor_time(board):
    process = psutil.Process(board._process.pid)
    with egru_hw.connect(board.port):
        pass
    time.sleep(1)  # until the clock stands still
    before = sum(process.cpu_times()[:2])
    time.sleep(1)
    assert sum(process.cpu_times()[:2]) - before < 0.1


def test_the_command_prints_its_port_and_ends_on_ctrl_c(tmp_path):
    link = tmp_path / "a port"
    command = [sys.executable, "-m", "egru_cli", "board", "--preset", "tiny", "--link", str(link)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline() == f"{link}\n"
        with egru_hw.connect(str(link)) as device:
            assert device.config == TINY
        process.send_signal(signal.SIGINT)
        report, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert '"to_device"' in report
    assert not os.path.lexists(link)


def test_no_board_outlives_a_command_that_is_killed():
    command = [sys.executable, "-m", "egru_cli", "board", "--preset", "tiny"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"/dev/pts/")
        boards = psutil.Process(process.pid).children()
        assert boards
        process.kill()
    _, alive = psutil.wait_procs(boards, timeout=10)
    assert not alive


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--faults", "flop=0.1"], "there is no fault 'flop': expected flip, drop"),
        (["--faults", "flip=2"], "must be a probability in [0, 1), not 2.0"),
        (["--faults", "flip"], "expected KIND=PROBABILITY"),
        (["--preset", "huge"], "no preset 'huge'"),
        (["--preset", "tiny", "--model", "mnist1d"], "does not fit this accelerator"),
        (["--link", "file"], "there is a file of this name"),
    ],
)
def test_bad_options_get_one_sentence(options, message, tmp_path):
    Path(tmp_path, "file").write_text("mine")
    command = [sys.executable, "-m", "egru_cli", "board", *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert Path(tmp_path, "file").read_text() == "mine"


def test_rates_that_leave_no_sound_byte_are_refused():
    with pytest.raises(ValueError, match="must add up to less than 1"):
        VirtualBoard(TINY, faults=dict.fromkeys(FAULTS, 0.2))
