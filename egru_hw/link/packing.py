"""Packets in a frame's payload: two bytes of code and index, and as many of value as it needs.

All numbers are little-endian. Bits 11:0 of the first two bytes are the index, bits 15:12 the code.
The code determines how many bytes of value follow: see ``value_bytes`` in
:mod:`egru_hw.contract.protocol`. Reserved codes have none.
"""

from collections.abc import Iterator

import numpy as np

from egru_hw.contract.protocol import CODE_BITS, PACKET, VALUE_BITS, Command, Reply

HEAD_BYTES = 2
MAX_PACKET_BYTES = HEAD_BYTES + VALUE_BITS // 8

_HEAD_OFFSET = np.uint64(PACKET["index"].offset)


def _sizes(codes: type[Command] | type[Reply]) -> list[int]:
    """Bytes of a packet, by code."""
    sizes = [HEAD_BYTES] * (1 << CODE_BITS)
    for code in codes:
        sizes[code] += code.value_bytes
    return sizes


SIZES = {Command: _sizes(Command), Reply: _sizes(Reply)}


def payloads(
    packets: np.ndarray, codes: type[Command] | type[Reply], limit: int
) -> Iterator[bytes]:
    """Payloads of at most ``limit`` bytes that hold ``packets`` (uint64) in order.

    As many packets as fit are in each; none is divided.
    """
    packets = np.ascontiguousarray(packets, dtype="<u8")
    head = (packets >> _HEAD_OFFSET).astype("<u2")
    value = (packets & np.uint64((1 << VALUE_BITS) - 1)).astype("<u4")
    table = np.hstack([head.view(np.uint8).reshape(-1, 2), value.view(np.uint8).reshape(-1, 4)])
    sizes = np.array(SIZES[codes])[head >> np.uint16(PACKET["index"].width)]
    ends = np.cumsum(sizes)
    flat = table[np.arange(MAX_PACKET_BYTES) < sizes[:, None]].tobytes()
    begin = 0
    while begin < len(flat):
        end = int(ends[np.searchsorted(ends, begin + limit, side="right") - 1])
        yield flat[begin:end]
        begin = end


def packets(payload: bytes, codes: type[Command] | type[Reply]) -> np.ndarray:
    """The packets (N,) uint64 in ``payload``. An incomplete last one is ignored."""
    sizes = SIZES[codes]
    starts, position = [], 0
    while position + HEAD_BYTES <= len(payload):
        starts.append(position)
        position += sizes[payload[position + 1] >> CODE_BITS]
    if position > len(payload):
        starts.pop()
    data = np.frombuffer(payload + bytes(MAX_PACKET_BYTES), np.uint8)
    table = data[np.array(starts, int)[:, None] + np.arange(MAX_PACKET_BYTES)]
    head = table[:, :HEAD_BYTES].copy().view("<u2")[:, 0].astype(np.uint64)
    raw = table[:, HEAD_BYTES:].copy().view("<u4")[:, 0].astype(np.int64)
    bits = (np.array(sizes)[head >> np.uint64(PACKET["index"].width)] - HEAD_BYTES) * 8
    value = np.where(bits == 32, raw, raw & ((1 << np.minimum(bits, 31)) - 1))
    negative = (bits > 8) & (value >> np.maximum(bits - 1, 0) & 1 == 1)
    value = np.where(negative, value - (1 << bits), value) & ((1 << VALUE_BITS) - 1)
    return head << _HEAD_OFFSET | value.astype(np.uint64)
