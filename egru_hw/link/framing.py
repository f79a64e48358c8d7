"""Packets as bytes on a serial line: the software side. ``egru_hw.link.uart`` has the hardware's.

A packet of 48 bits travels as 7 bytes of 7 bits each, the most significant first; the spare top
bit is 0 and ignored. Bit 7 of a byte is set on the first byte of a packet and on no other::

    byte        0           1           2       ...     6
            1 0 47..42   0 41..35   0 34..28    ...   0 6..0

A receiver that joins midway, or misses a byte, loses only that packet: it drops bytes that are not
part of a complete packet, and recognises the next packet by its first byte. There is neither
retransmission nor checksum; a corrupted byte is not detected.
"""

import numpy as np

BAUD = 2_000_000
"""Bits per second on the line; exact with 12 MHz USB serial adapters."""

PACKET_BITS = 48
DIGIT_BITS = 7
BYTES_PER_PACKET = -(-PACKET_BITS // DIGIT_BITS)
FIRST = 1 << DIGIT_BITS
"""Set in the first byte of a packet."""

_DIGIT_MASK = np.uint64(FIRST - 1)
_PACKET_MASK = np.uint64((1 << PACKET_BITS) - 1)
_SHIFTS = np.arange(BYTES_PER_PACKET - 1, -1, -1, dtype=np.uint64) * np.uint64(DIGIT_BITS)


def encode(packets: np.ndarray) -> bytes:
    """The bytes of ``packets`` (N,), unsigned integers below 2^48."""
    packets = np.asarray(packets, dtype=np.uint64)
    if np.any(packets > _PACKET_MASK):
        raise ValueError(f"a packet has {PACKET_BITS} bits, not {int(packets.max()):#x}")
    digits = (packets[:, None] >> _SHIFTS) & _DIGIT_MASK
    digits[:, 0] |= np.uint64(FIRST)
    return digits.astype(np.uint8).tobytes()


def decode(stream: bytes) -> tuple[np.ndarray, bytes, int]:
    """The packets (N,) uint64 in ``stream``, the start of a last one, and the number of lost bytes.

    Prepend the second result, which is shorter than a packet, to the next data. Lost bytes belong
    to no complete packet. The results do not depend on how a stream is divided into calls.
    """
    data = np.frombuffer(stream, dtype=np.uint8)
    first = np.flatnonzero(data & FIRST)
    lengths = np.diff(first, append=len(data))
    complete = lengths >= BYTES_PER_PACKET
    rest = stream[first[-1] :] if len(first) and not complete[-1] else b""

    digits = data[first[complete, None] + np.arange(BYTES_PER_PACKET)].astype(np.uint64)
    packets = np.bitwise_or.reduce((digits & _DIGIT_MASK) << _SHIFTS, axis=1) & _PACKET_MASK
    return packets, rest, len(data) - len(rest) - BYTES_PER_PACKET * len(packets)
