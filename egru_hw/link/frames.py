"""Frames on a serial line: their layout, and their software side. See docs/link.md.

A frame is a header, a payload and a CRC-32 of both. It ends with a zero byte on the line, and is
encoded so that it contains none: by COBS towards the device, and by reverse COBS (the encoding of
the reversed bytes, reversed) from it. Thus the device both encodes and decodes without a buffer.
"""

import zlib
from dataclasses import dataclass
from enum import IntEnum, unique

from amaranth.lib.crc import catalog

BAUD = 2_000_000
"""Bits per second on the line; exact with 12 MHz USB serial adapters."""

SLOTS = 16
"""DATA frames in flight in each direction: sent by one side, and not yet released by the other."""

MAX_BYTES = 253
"""Length of a frame before its encoding. With more, COBS would have to split long blocks."""

NONCE_BYTES = 4
"""Payload of HELLO."""

IDENTITY_BYTES = 4
"""The last bytes of WELCOME's payload, behind the nonce and a byte with the protocol's version."""

WELCOME_BYTES = NONCE_BYTES + 1 + IDENTITY_BYTES

CRC = catalog.CRC32_ISO_HDLC(data_width=8)
"""As the hardware computes it. ``zlib.crc32`` is the same function."""

CRC_BYTES = CRC.algorithm.crc_width // 8
DELIMITER = b"\0"

PADDING = 62
"""Zero bytes that the device sends after the last frame of a burst: as many as make a USB serial
adapter send its buffer at once, instead of when its latency timer ends."""


@unique
class ToDevice(IntEnum):
    """Kinds of frames from the host."""

    HELLO = 1
    DATA = 2
    ACK = 3
    RESEND = 4


@unique
class FromDevice(IntEnum):
    """Kinds of frames from the device."""

    WELCOME = 1
    DATA = 2
    STATUS = 3
    GAP = 4


TO_DEVICE_HEADER = ("kind", "number", "ack")
FROM_DEVICE_HEADER = ("kind", "number", "ack", "consumed")
"""Fields of the headers, of one byte each."""

TO_DEVICE_PAYLOAD = MAX_BYTES - len(TO_DEVICE_HEADER) - CRC_BYTES
FROM_DEVICE_PAYLOAD = MAX_BYTES - len(FROM_DEVICE_HEADER) - CRC_BYTES
"""Most bytes of payload in a frame."""


@dataclass(frozen=True)
class Frame:
    """One frame. ``consumed`` is None in a frame to the device."""

    kind: int
    number: int = 0
    ack: int = 0
    consumed: int | None = None
    payload: bytes = b""


class DamagedFrame(ValueError):
    """Bytes between two delimiters that are no frame."""


def encode(frame: Frame) -> bytes:
    """The bytes of ``frame`` on the line, with the zero byte that ends it."""
    header = [frame.kind, frame.number, frame.ack]
    if frame.consumed is not None:
        header.append(frame.consumed)
    body = bytes(header) + frame.payload
    body += zlib.crc32(body).to_bytes(CRC_BYTES, "little")
    if len(body) > MAX_BYTES:
        raise ValueError(f"a frame has at most {MAX_BYTES} bytes, not {len(body)}")
    if frame.consumed is None:
        return _without_zeros(body) + DELIMITER
    return _without_zeros(body[::-1])[::-1] + DELIMITER


def decode_to_device(line: bytes) -> Frame:
    """The frame from the host that is encoded in ``line``, without its delimiter.

    Raises:
        DamagedFrame: it is none.
    """
    body = _decoded(line, len(TO_DEVICE_HEADER))
    return Frame(body[0], body[1], body[2], None, body[len(TO_DEVICE_HEADER) :])


def decode_from_device(line: bytes) -> Frame:
    """The frame from the device that is encoded in ``line``, without its delimiter.

    Raises:
        DamagedFrame: it is none.
    """
    body = _decoded(line[::-1], len(FROM_DEVICE_HEADER), reverse=True)
    return Frame(body[0], body[1], body[2], body[3], body[len(FROM_DEVICE_HEADER) :])


def _decoded(line: bytes, header: int, reverse: bool = False) -> bytes:
    body = _with_zeros(line)
    if reverse:
        body = body[::-1]
    if not header + CRC_BYTES <= len(body) <= MAX_BYTES:
        raise DamagedFrame(f"a frame of {len(body)} bytes")
    body, crc = body[:-CRC_BYTES], body[-CRC_BYTES:]
    if zlib.crc32(body).to_bytes(CRC_BYTES, "little") != crc:
        raise DamagedFrame("wrong CRC")
    return body


def _without_zeros(body: bytes) -> bytes:
    """COBS: each zero, and one that is added at the end, becomes a byte in front of those before
    it, with their number plus 1. Frames are too short for blocks that no zero ends."""
    return b"".join(bytes([len(block) + 1]) + block for block in body.split(DELIMITER))


def _with_zeros(line: bytes) -> bytes:
    """What :func:`_without_zeros` was given."""
    if DELIMITER in line:
        raise DamagedFrame("a frame with a zero byte")
    blocks, place = [], 0
    while place < len(line):
        end = place + line[place]
        blocks.append(line[place + 1 : end])
        place = end
    if place > len(line):
        raise DamagedFrame("a frame whose end is missing")
    return DELIMITER.join(blocks)
