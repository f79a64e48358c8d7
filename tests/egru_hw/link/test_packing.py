"""Packets as bytes: the software side."""

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egru_hw.contract.protocol import Command, Reply, pack, unpack
from egru_hw.link import packing
from egru_hw.link.frames import FROM_DEVICE_PAYLOAD, TO_DEVICE_PAYLOAD

FORMATS = {
    Command: {1: "i", 2: "i", 3: "i", 5: "h"},
    Reply: {1: "B", 3: "i", 4: "i"},
}
"""Of the values, as docs/link.md lists them, for struct."""

LIMITS = {Command: TO_DEVICE_PAYLOAD, Reply: FROM_DEVICE_PAYLOAD}
RANGES = {"": (0, 0), "B": (0, 255), "h": (-(2**15), 2**15 - 1), "i": (-(2**31), 2**31 - 1)}


def packets_of(kind):
    """Codes, indices and values that packets of a kind can have."""

    def value(code):
        return st.integers(*RANGES[FORMATS[kind].get(code, "")])

    return st.lists(
        st.integers(0, 15).flatmap(
            lambda code: st.tuples(st.just(code), st.integers(0, 4095), value(code))
        ),
        max_size=200,
    )


def as_bytes(kind, packets) -> bytes:
    """An independent encoding."""
    encoded = b""
    for code, index, value in packets:
        form = FORMATS[kind].get(code, "")
        encoded += struct.pack("<H" + form, code << 12 | index, *([value] if form else []))
    return encoded


def as_array(packets) -> np.ndarray:
    return np.array([pack(*packet) for packet in packets], np.uint64)


@pytest.mark.parametrize("kind", [Command, Reply])
@given(st.data())
def test_packets_survive_in_frames(kind, data):
    packets = data.draw(packets_of(kind))
    payloads = list(packing.payloads(as_array(packets), kind, LIMITS[kind]))
    assert b"".join(payloads) == as_bytes(kind, packets)
    assert all(0 < len(payload) <= LIMITS[kind] for payload in payloads)
    found = [packing.packets(payload, kind) for payload in payloads]
    assert np.concatenate([as_array([]), *found]).tolist() == as_array(packets).tolist()


@pytest.mark.parametrize("kind", [Command, Reply])
@given(st.data())
def test_frames_are_as_full_as_whole_packets_allow(kind, data):
    packets = data.draw(packets_of(kind))
    limit = data.draw(st.integers(packing.MAX_PACKET_BYTES, LIMITS[kind]))
    payloads = list(packing.payloads(as_array(packets), kind, limit))
    for payload, following in pairwise(payloads):
        first = packing.SIZES[kind][following[1] >> 4]
        assert len(payload) + first > limit


@pytest.mark.parametrize("kind", [Command, Reply])
@given(st.data())
def test_an_incomplete_packet_is_ignored(kind, data):
    packets = data.draw(packets_of(kind).filter(len))
    encoded = as_bytes(kind, packets)
    cut = data.draw(st.integers(1, len(as_bytes(kind, packets[-1:]))))
    assert packing.packets(encoded[:-cut], kind).tolist() == as_array(packets[:-1]).tolist()


def test_values_beyond_their_bytes_keep_their_low_bits():
    (payload,) = packing.payloads(as_array([(Command.EVENT, 3, 2**16 + 5)]), Command, 100)
    assert [int(field[0]) for field in unpack(packing.packets(payload, Command))] == [5, 3, 5]
