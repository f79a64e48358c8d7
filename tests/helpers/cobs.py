"""COBS byte by byte, as its paper describes it (Cheshire and Baker, 1999)."""

FULL = 254  # bytes of a block that no zero follows


class DecodeError(ValueError):
    """The bytes are no encoding."""


def encode(data: bytes) -> bytes:
    """``data`` without zeros."""
    blocks, block = [], bytearray()
    for byte in data:
        if byte:
            block.append(byte)
        if not byte or len(block) == FULL:
            blocks.append(bytes(block))
            block.clear()
    blocks.append(bytes(block))
    return b"".join(bytes([len(block) + 1]) + block for block in blocks)


def decode(line: bytes) -> bytes:
    """What is encoded in ``line``."""
    data, place = bytearray(), 0
    while place < len(line):
        code = line[place]
        block = line[place + 1 : place + code]
        if not code or len(block) < code - 1 or 0 in block:
            raise DecodeError
        data += block
        place += code
        if code <= FULL and place < len(line):
            data.append(0)
    return bytes(data)
