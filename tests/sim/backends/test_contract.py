"""What every simulator keeps to as a transport; see :class:`egru_hw.host.transport.Transport`."""

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import psutil
import pytest

from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import Command, Counter, Target, pack, unpack
from egru_hw.host.commands import load
from egru_hw.host.transport import NoAnswer
from sim.backends import BACKENDS
from sim.random_models import random_model
from sim.stimulus import Stimulus
from tests.helpers.streams import generator

TINY = preset("tiny")
COMPILED = [name for name in BACKENDS if name != "amaranth"]


@pytest.fixture(params=BACKENDS)
def transport(request, monkeypatch):
    stimulus = Stimulus(stall=0.3, seed=1)
    backend = import_module(BACKENDS[request.param])
    monkeypatch.setattr(backend, "PATIENCE", 1000)
    transport = backend.transport(TINY, stimulus, Path("build/sim"), None)
    transport.reset()
    transport.send(MODEL)
    yield transport
    transport.close()


def commands(*fields) -> np.ndarray:
    return np.array([pack(*command) for command in fields], np.uint64)


def read(target: Target, count: int) -> np.ndarray:
    return commands((Command.SELECT, target, 0), (Command.READ, 0, count))


MODEL = load(build_image(random_model(generator(1), 1, (5,)), TINY, report_events=False), TINY)
STEPS = commands(*[(Command.STEP,)] * 3)
STEPS_DONE = read(Target.COUNTERS, len(Counter))


def values(replies: np.ndarray) -> list[int]:
    return unpack(replies)[2].tolist()


def test_the_accelerator_goes_on_where_it_was(transport):
    transport.send(STEPS)
    assert len(transport.receive(2)) == 2
    transport.send(STEPS_DONE)
    assert len(transport.receive(1)) == 1
    assert values(transport.receive(len(Counter)))[Counter.STEPS] == 3


def test_replies_wait_until_they_are_received(transport):
    for _ in range(20):  # more than the accelerator's queues hold
        transport.send(STEPS)
    transport.send(STEPS_DONE)
    assert len(transport.receive(60)) == 60
    assert values(transport.receive(len(Counter)))[Counter.STEPS] == 60


def test_reset_discards_what_waits(transport):
    transport.send(STEPS)
    transport.receive(1)
    transport.send(STEPS)
    transport.reset()
    transport.send(read(Target.IDENTITY, 1))
    [identity] = values(transport.receive(1))
    assert identity & 0xFFFFFFFF == TINY.fingerprint


def test_silence_ends_and_can_be_reset(transport):
    transport.send(STEPS)
    with pytest.raises(NoAnswer, match="1 of 4 replies are missing"):
        transport.receive(4)
    transport.reset()
    transport.send(np.append(MODEL, STEPS))
    assert len(transport.receive(3)) == 3


PARENT = """
import sys
from pathlib import Path
from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import Command, pack
from sim.backends import BACKENDS
from sim.stimulus import Stimulus
import importlib, numpy
backend = importlib.import_module(BACKENDS[sys.argv[1]])
transport = backend.transport(preset("tiny"), Stimulus(), Path("build/sim"), None)
transport.reset()
if sys.argv[2] == "busy":
    transport.send(numpy.full(10**6, pack(Command.READ, 0, 255)))
    print("started", flush=True)
    transport.receive(255 * 10**6)
print("started", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("activity", ["idle", "busy"])
@pytest.mark.parametrize("backend", COMPILED)
def test_no_simulation_outlives_a_host_that_is_killed(backend, activity):
    command = [sys.executable, "-c", PARENT, backend, activity]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as parent:
        assert parent.stdout.readline() == b"started\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
        time.sleep(0.1)
        os.kill(parent.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=30)
    for child in alive:
        child.kill()
    assert not alive
