"""The host's end of the link, against a model of the device, in simulated time."""

from contextlib import suppress
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egru_hw.contract.config import preset
from egru_hw.contract.protocol import VERSION, Command, Reply, Target, pack
from egru_hw.host.device import Device
from egru_hw.host.line import TIMEOUT, Line
from egru_hw.host.session import QUIET, Session
from egru_hw.host.statistics import Statistics
from egru_hw.host.transport import Disconnected, NoAnswer, Stalled, TransportError, WrongDevice
from egru_hw.link.frames import DELIMITER, Frame, FromDevice, decode_to_device, encode
from sim.comparison import compare
from sim.random_models import random_inputs, random_model
from tests.helpers.accelerator_model import AcceleratorModel
from tests.helpers.device_model import DeviceModel
from tests.helpers.simulated_port import BYTE, Fault, Kind, SimulatedPort
from tests.helpers.streams import generator

TINY = preset("tiny")
MODEL = random_model(generator(1), 3, (5, 4), 2, threshold=2000)
INPUTS = random_inputs(generator(2), 12, 8, 3)
EXPECTED = MODEL.run(INPUTS)
LONG_ENOUGH = 3000  # bytes that a session has in each direction, or nearly


def device_model() -> DeviceModel:
    return DeviceModel(AcceleratorModel(TINY, MODEL), TINY.fingerprint)


def session(port: SimulatedPort) -> Line:
    """Load the model and run it over the inputs; the results must be right."""
    line = Line(port)
    device = Device(line)
    device.load(MODEL)
    comparison = compare(EXPECTED, device.run(INPUTS))
    assert comparison.mismatches == 0, str(comparison.first)
    return line


def test_a_session_over_a_good_line_needs_no_repetition():
    port = SimulatedPort(device_model())
    statistics = session(port).statistics
    assert (statistics.repeated, statistics.mended) == (0, 0)
    assert statistics.sent > 1500
    assert statistics.received > 1500
    assert 0.2 < statistics.share <= 1
    assert statistics.seconds == pytest.approx(port.now())


PASSING = [Kind.FLIP, Kind.DROP, Kind.DUPLICATE, Kind.INSERT, Kind.BURST, Kind.DELAY]


@pytest.mark.parametrize("to_device", [True, False])
@pytest.mark.parametrize("kind", PASSING)
@settings(max_examples=settings().max_examples // 10, deadline=None)
@given(st.data())
def test_the_line_mends_what_passes(kind, to_device, data):
    places = data.draw(st.lists(st.integers(0, LONG_ENOUGH), min_size=1, max_size=3))
    size = data.draw(st.sampled_from([1, 2, 30, 300]))
    port = SimulatedPort(
        device_model(), faults=tuple(Fault(kind, to_device, place, size) for place in places)
    )
    session(port)
    assert port.now() < 2


FAULTS = st.builds(
    Fault,
    st.sampled_from(Kind),
    st.booleans(),
    st.integers(0, LONG_ENOUGH),
    st.one_of(st.integers(1, 8), st.integers(1, 1000)),
    st.integers(0, 99),
)


@settings(max_examples=settings().max_examples, deadline=None)
@given(st.lists(FAULTS, min_size=1, max_size=12), st.sampled_from([1e-3, 16e-3]))
def test_every_session_ends_with_the_right_result_or_a_named_error(faults, latency):
    port = SimulatedPort(device_model(), latency, tuple(faults))
    with suppress(TransportError):
        session(port)
    assert port.now() < 2 * TIMEOUT + 12 * 1.0 + 2


@settings(max_examples=settings().max_examples // 4, deadline=None)
@given(st.lists(FAULTS, max_size=3), st.integers(1, 200))
def test_a_host_that_dies_at_any_moment_leaves_nothing_behind(faults, calls):
    port = SimulatedPort(device_model(), faults=tuple(faults))
    read = port.read

    class Died(Exception):
        pass

    def dying(timeout):
        nonlocal calls
        calls -= 1
        if not calls:
            raise Died
        return read(timeout)

    port.read = dying
    with suppress(Died, TransportError):
        session(port)
    port.read = read
    if not any(fault.kind in (Kind.CUT, Kind.PULL) for fault in faults):
        try:
            session(port)
        except TransportError:
            assert any(fault.kind is Kind.POWER for fault in faults)


class Steps:
    """An accelerator that answers a STEP with ``events`` events, at once."""

    def __init__(self, events: int = 0):
        step = [pack(Reply.EVENT, unit, 1) for unit in range(events)] + [pack(Reply.STEP)]
        self.replies = {int(pack(Command.STEP)): [int(reply) for reply in step]}

    def power_up(self) -> None:
        pass

    reset = power_up

    def execute(self, command: int) -> list[int]:
        return self.replies.get(command, [])


def used(line: Line, port: SimulatedPort, packets: np.ndarray, steps: int) -> tuple[float, float]:
    """Shares of the capacity to the device and from it that a batch uses."""
    begin, sent, received = port.now(), line.statistics.sent, line.statistics.received
    for part in np.array_split(packets, 10):
        line.send(part)
    line.receive(steps)
    seconds = port.now() - begin
    statistics = line.statistics
    return (statistics.sent - sent) * BYTE / seconds, (statistics.received - received) * (
        BYTE / seconds
    )


PATHS = [(1e-3, 0.5e-3), (4e-3, 0.5e-3), (16e-3, 0.5e-3), (1e-3, 8e-3)]
"""An adapter's latency timer, and what USB takes in each direction."""


def opened(events: int, path: tuple[float, float]) -> tuple[Line, SimulatedPort]:
    latency, usb = path
    port = SimulatedPort(DeviceModel(Steps(events), 0), latency, usb=usb)
    line = Line(port)
    line.reset()
    return line, port


@pytest.mark.parametrize("path", PATHS)
def test_loading_fills_the_line(path):
    line, port = opened(0, path)
    load = np.append(np.full(20000, pack(Command.WRITE, 0, 12345)), pack(Command.STEP))
    assert used(line, port, load, 1)[0] >= 0.95


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("inputs", "events"), [(0, 10), (1, 10), (3, 2), (10, 1)])
def test_running_fills_the_line(path, inputs, events):
    line, port = opened(events, path)
    step = np.append(pack(Command.EVENT, np.arange(inputs), 100), pack(Command.STEP))
    assert max(used(line, port, np.tile(step, 4000), 4000)) >= 0.9


@pytest.mark.parametrize("path", PATHS)
def test_replies_to_few_commands_fill_the_line(path):
    line, port = opened(4000, path)
    assert used(line, port, np.full(10, pack(Command.STEP)), 10)[1] >= 0.9


def test_what_the_line_damages_is_mended_without_a_time_out():
    for kind, to_device in product((Kind.FLIP, Kind.DROP), (True, False)):
        port = SimulatedPort(device_model(), faults=(Fault(kind, to_device, 900, 1),))
        statistics = session(port).statistics
        assert port.now() < QUIET
        assert statistics.mended == 1
        assert (statistics.repeated > 0) == to_device


def test_an_answer_to_another_greeting_opens_no_session():
    statistics = Statistics()
    session = Session("the device", TIMEOUT, 0.0, statistics)
    greeting = decode_to_device(session.output(0.0).strip(DELIMITER))
    for nonce, is_ours in ((bytes(4), False), (greeting.payload, True)):
        payload = nonce + bytes([VERSION, 1, 2, 3, 4])
        session.input(encode(Frame(FromDevice.WELCOME, 0, 0, 0, payload)), 0.0)
        assert session.open == is_ours


def test_a_line_without_an_end_is_no_answer():
    port = SimulatedPort(device_model(), faults=(Fault(Kind.CUT, True, 0, 1),))
    with pytest.raises(NoAnswer, match="has not answered the greeting for 5 s"):
        Line(port).reset()
    assert TIMEOUT <= port.now() < TIMEOUT + 1


def test_a_line_that_is_cut_is_no_answer():
    port = SimulatedPort(device_model(), faults=(Fault(Kind.CUT, False, 1500, 1),))
    with pytest.raises(NoAnswer, match="has stopped answering for 5 s"):
        session(port)
    assert port.now() < TIMEOUT + 1


def test_a_port_that_is_gone_is_an_error_at_once():
    port = SimulatedPort(device_model(), faults=(Fault(Kind.PULL, False, 1500, 1),))
    with pytest.raises(Disconnected, match="the cable"):
        session(port)
    assert port.now() < 1


def test_a_device_that_was_switched_off_and_on_is_greeted_and_loaded_again():
    port = SimulatedPort(device_model(), faults=(Fault(Kind.POWER, False, 1500, 1),))
    device = Device(Line(port))
    device.load(MODEL)
    with pytest.raises(NoAnswer):
        device.run(INPUTS)
    assert compare(EXPECTED, device.run(INPUTS)).mismatches == 0


def test_another_version_is_refused():
    port = SimulatedPort(DeviceModel(Steps(), 0, version=VERSION + 1))
    with pytest.raises(WrongDevice, match=f"has version {VERSION + 1} of the protocol"):
        Line(port).reset()


def test_another_device_is_refused():
    class Talker:
        """Sends text."""

        def receive(self, data):
            pass

        def transmit(self, room):
            return b"login: "

    port = SimulatedPort(Talker())
    with pytest.raises(WrongDevice, match="not as an accelerator does"):
        Line(port).reset()


def test_an_accelerator_that_does_not_finish_is_told_apart_from_a_dead_line():
    class Stuck(Steps):
        def execute(self, command):
            return []

    port = SimulatedPort(DeviceModel(Stuck(), 0))
    line = Line(port)
    line.reset()
    line.send(pack(Command.STEP).reshape(1))
    with pytest.raises(Stalled, match="its accelerator has not gone on for 5 s"):
        line.receive(1)
    assert port.now() < TIMEOUT + 1
    line.reset()


def test_replies_of_any_number_wait_until_they_are_received():
    port = SimulatedPort(device_model())
    line = Line(port)
    line.reset()
    read = pack([Command.SELECT, Command.READ], Target.IDENTITY, [0, 11])
    line.send(np.tile(read, 500))
    assert line.receive(0).size == 0
    first, rest = line.receive(1), line.receive(500 * 11 - 1)
    assert len(first) == 1
    assert len(rest) == 500 * 11 - 1


@pytest.mark.parametrize(("kind", "limit"), [(Kind.FLIP, QUIET), (Kind.DROP, 2 * QUIET)])
def test_a_last_reply_that_is_damaged_or_lost_is_asked_for(kind, limit):
    port = SimulatedPort(device_model())
    line = Line(port)
    line.reset()
    wire = port.wires[False]
    wire.faults.append(Fault(kind, False, wire.carried, 40))
    begin = port.now()
    line.send(pack([Command.SELECT, Command.READ], Target.IDENTITY, [0, 1]))
    assert len(line.receive(1)) == 1
    assert port.now() - begin < limit
    assert line.statistics.mended >= 1
