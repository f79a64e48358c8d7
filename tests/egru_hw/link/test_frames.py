"""Frames on the line: the software side."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egru_hw.link import frames
from egru_hw.link.frames import DELIMITER, DamagedFrame, Frame, FromDevice, ToDevice
from tests.helpers import cobs

BYTE = st.integers(0, 255)
PAYLOADS = st.one_of(
    st.binary(max_size=frames.FROM_DEVICE_PAYLOAD),
    st.integers(0, frames.FROM_DEVICE_PAYLOAD).map(bytes),
    st.integers(0, frames.FROM_DEVICE_PAYLOAD).map(lambda size: b"\1" * size),
)
TO_DEVICE = st.builds(Frame, st.sampled_from(ToDevice), BYTE, BYTE, st.none(), PAYLOADS)
FROM_DEVICE = st.builds(Frame, st.sampled_from(FromDevice), BYTE, BYTE, BYTE, PAYLOADS)
WAYS = [(TO_DEVICE, frames.decode_to_device), (FROM_DEVICE, frames.decode_from_device)]


@given(st.data(), st.sampled_from(WAYS))
def test_a_frame_survives_the_line(data, way):
    made, decode = way
    frame = data.draw(made)
    line = frames.encode(frame)
    assert line.index(DELIMITER) == len(line) - 1
    assert len(line) <= frames.MAX_BYTES + 2
    assert decode(line[:-1]) == frame


@given(TO_DEVICE, FROM_DEVICE)
def test_frames_are_cobs_one_way_and_reversed_the_other(to_device, from_device):
    body = cobs.decode(frames.encode(to_device)[:-1])
    assert body[:3] == bytes([to_device.kind, to_device.number, to_device.ack])
    assert body[3:-4] == to_device.payload
    assert body[-4:] == zlib.crc32(body[:-4]).to_bytes(4, "little")

    body = cobs.decode(frames.encode(from_device)[-2::-1])[::-1]
    header = [from_device.kind, from_device.number, from_device.ack, from_device.consumed]
    assert body[:4] == bytes(header)
    assert body[4:-4] == from_device.payload
    assert body[-4:] == zlib.crc32(body[:-4]).to_bytes(4, "little")


@given(st.binary(max_size=300))
def test_the_crc_of_the_hardware_is_that_of_zlib(data):
    assert frames.CRC.compute(data) == zlib.crc32(data)


@given(st.data(), st.sampled_from(WAYS), st.integers(1, 255))
def test_a_wrong_byte_is_detected(data, way, difference):
    made, decode = way
    line = bytearray(frames.encode(data.draw(made))[:-1])
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= difference
    with pytest.raises(DamagedFrame):
        decode(bytes(line))


@given(st.data(), st.sampled_from(WAYS))
def test_a_missing_or_additional_byte_is_detected(data, way):
    made, decode = way
    line = frames.encode(data.draw(made))[:-1]
    place = data.draw(st.integers(0, len(line) - 1))
    more = bytes([data.draw(st.integers(1, 255))])
    for damaged in (line[:place] + line[place + 1 :], line[:place] + more + line[place:]):
        if damaged != line:
            with pytest.raises(DamagedFrame):
                decode(damaged)


@given(st.binary(max_size=600), st.sampled_from([decode for _, decode in WAYS]))
def test_noise_is_no_frame(noise, decode):
    with pytest.raises(DamagedFrame):
        decode(noise)


def test_what_is_too_long_is_no_frame():
    body = bytes([1] * (frames.MAX_BYTES + 1 - frames.CRC_BYTES))
    body += zlib.crc32(body).to_bytes(frames.CRC_BYTES, "little")
    with pytest.raises(DamagedFrame):
        frames.decode_to_device(cobs.encode(body))
    with pytest.raises(ValueError, match=f"at most {frames.MAX_BYTES} bytes, not 254"):
        frames.encode(Frame(2, payload=bytes(frames.TO_DEVICE_PAYLOAD + 1)))
