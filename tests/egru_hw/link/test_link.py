"""The link delivers what was sent, exactly once and in order, whatever the line does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egru_hw.contract.protocol import CODE_BITS, Command, Reply, pack
from egru_hw.link import packing
from egru_hw.link.frames import (
    DELIMITER,
    MAX_BYTES,
    PADDING,
    SLOTS,
    TO_DEVICE_PAYLOAD,
    DamagedFrame,
    Frame,
    FromDevice,
    ToDevice,
    decode_to_device,
    encode,
)
from tests.egru_hw.link.device import Device
from tests.egru_hw.link.host import Host, received, spoiling
from tests.helpers.streams import generator

seeds = st.integers(0, 2**32 - 1)


def random_packets(rng: np.random.Generator, kind: type[Command] | type[Reply], count: int):
    """Packets of all codes, reserved ones too, that survive their packing."""
    codes = rng.integers(0, 1 << CODE_BITS, count)
    packets = pack(codes, rng.integers(0, 1 << 12, count), rng.integers(-(1 << 31), 1 << 31, count))
    return packing.packets(b"".join(packing.payloads(packets, kind, MAX_BYTES)), kind)


@pytest.fixture(scope="module")
def device():
    device = Device()
    yield device
    device.close()


def begin(device: Device, seed: int, rate: float = 0.0) -> tuple[np.random.Generator, Host]:
    """Power up ``device``, which stalls at random, for a host on a line with faults at ``rate``."""
    rng = generator(seed)
    device.power_up()
    device.accelerator_stall, device.line_stall = rng.choice([0, 0.5, 0.9], 2).tolist()
    return rng, Host(device, rng, spoiling(rng, rate))


def check_session(device: Device, host: Host, rng: np.random.Generator, limit: int) -> None:
    """A session with random packets both ways; commands in payloads of at most ``limit`` bytes."""
    host.greet()
    commands = random_packets(rng, Command, int(rng.integers(1, 80)))
    replies = random_packets(rng, Reply, int(rng.integers(0, 80)))
    device.reply(replies)
    host.run(commands, len(replies), limit)
    assert device.commands == commands.tolist()
    assert host.replies == replies.tolist()


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_a_sound_line_carries_every_packet_and_damages_none(device, seed):
    rng, host = begin(device, seed)
    for _ in range(2):
        check_session(device, host, rng, int(rng.integers(6, TO_DEVICE_PAYLOAD + 1)))
    assert device.damaged == 0


@settings(max_examples=200, deadline=None)
@given(seeds, st.sampled_from([1e-4, 1e-3, 3e-3]))
def test_a_spoiling_line_delivers_every_packet_once_and_in_order(device, seed, rate):
    rng, host = begin(device, seed, rate)
    for _ in range(2):
        check_session(device, host, rng, 12)


def test_numbers_may_wrap(device):
    _, host = begin(device, 1)
    host.greet()
    commands = pack(Command.EVENT, np.arange(600), np.arange(600))
    replies = pack(Reply.DATA, 0, np.arange(300))
    device.replies_apart = 60  # cycles, so that few of them share a frame
    device.reply(replies)
    host.run(commands, len(replies), 8)
    assert len(host.payloads) == 300
    assert host.expected > 256
    assert device.commands == commands.tolist()
    assert host.replies == replies.tolist()


def spoil(rng: np.random.Generator, data: bytes) -> bytes:
    return spoiling(rng, 0.02)(data) if rng.random() < 0.3 else data


@settings(max_examples=500, deadline=None)
@given(seeds, st.integers(1, 24))
def test_frames_of_all_kinds_do_what_the_page_says(device, seed, count):
    rng, _ = begin(device, seed)
    device.accelerator_stall = 0  # so that a slot is always free
    line, expected = b"", 0
    for _ in range(count):
        kind = int(rng.choice([1, 2, 3, 4, 0, 255], p=[0.1, 0.6, 0.1, 0.1, 0.05, 0.05]))
        number = expected + int(rng.choice([0, 0, 0, -1, 1, 100, 200]))
        expected = {1: 0, 2: number + 1}.get(kind, expected)
        commands = random_packets(rng, Command, int(rng.integers(0, 8)))
        payload = b"".join(packing.payloads(commands, Command, MAX_BYTES))
        payload += rng.bytes(int(rng.choice([0, 0, 0, 1, 3, TO_DEVICE_PAYLOAD - len(payload)])))
        ack = int(rng.integers(256))
        line += spoil(rng, encode(Frame(kind, number % 256, ack, payload=payload)))

    greetings = expected = damaged = 0
    executed: list[int] = []
    for encoded in line.split(DELIMITER)[:-1]:
        try:
            frame = decode_to_device(encoded)
        except DamagedFrame:
            damaged += bool(encoded)
            continue
        if frame.kind == ToDevice.HELLO:
            greetings, expected, executed = greetings + 1, 0, []
        elif greetings and frame.kind == ToDevice.DATA and frame.number == expected:
            executed += packing.packets(frame.payload, Command).tolist()
            expected += 1

    device.receive(line)
    answer = received(device.settle())
    assert device.greetings == greetings
    assert device.commands == executed
    assert device.damaged == damaged
    assert answer.count(None) <= max(0, greetings - 1), "frames that a greeting broke off"
    last = next((frame for frame in reversed(answer) if frame), None)
    assert (last is not None) == (greetings > 0)
    if last:
        assert (last.ack, last.consumed) == (expected, expected)


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_a_greeting_at_any_byte_ends_the_session_and_begins_another(device, seed):
    rng, host = begin(device, seed)
    host.greet()
    device.reply(random_packets(rng, Reply, 300))
    line = b""
    for number in range(4):
        (payload,) = packing.payloads(random_packets(rng, Command, 20), Command, TO_DEVICE_PAYLOAD)
        line += encode(Frame(ToDevice.DATA, number, payload=payload))
    device.receive(line[: int(rng.integers(len(line) + 1))])
    device.run(int(rng.integers(1000)))
    check_session(device, host, rng, TO_DEVICE_PAYLOAD)


def test_before_the_first_greeting_nothing_is_executed_or_answered(device):
    rng, host = begin(device, 2)
    device.accelerator_stall = 0
    commands = pack(Command.STEP).reshape(1)
    (payload,) = packing.payloads(commands, Command, TO_DEVICE_PAYLOAD)
    for kind in (ToDevice.DATA, ToDevice.RESEND):
        device.receive(encode(Frame(kind, 0, payload=payload)) + b"damage\0")
    assert device.settle() == DELIMITER
    assert device.commands == []
    check_session(device, host, rng, TO_DEVICE_PAYLOAD)


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_a_host_that_floods_loses_whole_frames_from_some_point_on(device, seed):
    rng, host = begin(device, seed)
    host.greet()
    device.accelerator_stall = float(rng.choice([0.9, 0.99, 1]))
    payloads = []
    for number in range(40):
        commands = random_packets(rng, Command, int(rng.integers(2, 10)))
        (payload,) = packing.payloads(commands, Command, TO_DEVICE_PAYLOAD)
        payloads.append(payload)
        device.receive(encode(Frame(ToDevice.DATA, number, payload=payload)))
    answer = device.run(8000)
    device.accelerator_stall = 0
    stored = [frame for frame in received(answer + device.settle()) if frame][-1].ack
    assert SLOTS <= stored < 40
    expected = packing.packets(b"".join(payloads[:stored]), Command)
    assert device.commands == expected.tolist()


def test_a_frame_whose_slot_becomes_free_in_its_middle_is_dropped(device):
    rng, host = begin(device, 7)
    host.greet()
    device.accelerator_stall = 1
    frames, payloads = [], []
    for number in range(SLOTS + 1):
        (payload,) = packing.payloads(random_packets(rng, Command, 10), Command, TO_DEVICE_PAYLOAD)
        payloads.append(payload)
        frames.append(encode(Frame(ToDevice.DATA, number, payload=payload)))
    device.receive(b"".join(frames[:SLOTS]) + frames[SLOTS][:12])
    device.run(4000)
    device.accelerator_stall = 0
    device.run(1000)
    answer = [f for f in host.exchange(frames[SLOTS][12:] + frames[0]) if f][-1]
    assert (answer.ack, answer.consumed) == (SLOTS, SLOTS)
    assert device.commands == packing.packets(b"".join(payloads[:SLOTS]), Command).tolist()


def data_frames(frames: list[Frame | None]) -> list[tuple[int, bytes]]:
    return [(f.number, f.payload) for f in frames if f and f.kind == FromDevice.DATA]


def test_replies_are_kept_until_they_are_acknowledged(device):
    rng, host = begin(device, 3)
    host.greet()
    replies = random_packets(rng, Reply, 2000)
    device.reply(replies)
    first = data_frames(received(device.settle()))
    assert [number for number, _ in first] == list(range(SLOTS))
    assert device.waiting, "the accelerator waits"

    assert data_frames(host.exchange(encode(Frame(ToDevice.RESEND)))) == first
    for nonsense in (17, 40, 128, 255):
        assert data_frames(host.exchange(encode(Frame(ToDevice.ACK, 0, nonsense)))) == []
    more = data_frames(host.exchange(encode(Frame(ToDevice.ACK, 0, 5))))
    assert [number for number, _ in more] == list(range(SLOTS, SLOTS + 5))
    again = data_frames(host.exchange(encode(Frame(ToDevice.RESEND, 0, 7))))
    assert again[: len(first + more) - 7] == (first + more)[7:]
    assert [number for number, _ in again] == list(range(7, 7 + SLOTS))


def kinds(frames: list[Frame | None]) -> list[int | None]:
    return [frame and frame.kind for frame in frames]


def test_a_gap_is_reported_once_and_again_at_every_request(device):
    _, host = begin(device, 4)
    host.greet()
    ahead = encode(Frame(ToDevice.DATA, 1))
    assert kinds(host.exchange(b"damage\0" + ahead + ahead)) == [FromDevice.GAP]
    assert kinds(host.exchange(ahead)) == []
    for _ in range(2):
        assert kinds(host.exchange(encode(Frame(ToDevice.RESEND, 2)))) == [FromDevice.GAP]
    answer = host.exchange(encode(Frame(ToDevice.DATA, 0)) + encode(Frame(ToDevice.DATA, 1)))
    assert {*kinds(answer)} == {FromDevice.STATUS}
    assert answer[-1] == Frame(FromDevice.STATUS, 0, 2, 2)
    assert kinds(host.exchange(encode(Frame(ToDevice.ACK, 4)))) == [FromDevice.GAP]
    assert kinds(host.exchange(encode(Frame(ToDevice.ACK, 2)))) == []
    assert kinds(host.exchange(b"damage\0")) == [FromDevice.GAP]


def test_a_repeated_frame_and_a_request_without_need_are_answered_with_status(device):
    _, host = begin(device, 5)
    host.greet()
    step = pack(Command.STEP).reshape(1)
    (payload,) = packing.payloads(step, Command, TO_DEVICE_PAYLOAD)
    frame = encode(Frame(ToDevice.DATA, 0, payload=payload))
    host.exchange(frame)
    for sent in (frame, encode(Frame(ToDevice.RESEND, 1))):
        assert host.exchange(sent) == [Frame(FromDevice.STATUS, 0, 1, 1)]
    assert device.commands == step.tolist()


def test_padding_follows_the_last_frame_of_a_burst(device):
    _, host = begin(device, 6)
    host.greet()
    device.run(100)
    device.settle()
    device.reply(pack(Reply.STEP, np.zeros(500)))
    data = device.settle()
    assert data.endswith(bytes(1 + PADDING))
    assert data[-2 - PADDING] != 0
    assert data.count(0) == len(received(data)) + PADDING
