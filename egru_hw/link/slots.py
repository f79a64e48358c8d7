"""Slots: a memory of SLOTS times 256 bytes, where DATA frames wait.

Frame n is in slot n modulo SLOTS. The first byte of a slot is the offset behind its payload.
"""

from amaranth.lib import data, memory

from egru_hw.contract.config import bits_for
from egru_hw.link.frames import MAX_BYTES, SLOTS
from egru_hw.link.uart import DATA_BITS

NUMBER_BITS = 8  # frames are numbered modulo 256
OFFSET_BITS = bits_for(MAX_BYTES + 1)
ADDRESS = data.StructLayout({"offset": OFFSET_BITS, "slot": bits_for(SLOTS)})

assert SLOTS & (SLOTS - 1) == 0, "a number modulo SLOTS is its low bits"


def slots() -> memory.Memory:
    """The memory, read and written at an ADDRESS."""
    return memory.Memory(shape=DATA_BITS, depth=1 << ADDRESS.size, init=[])
