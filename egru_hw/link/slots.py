"""The memory of both queues: the payloads of DATA frames, each in the slot of its number."""

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.memory import Memory, ReadPort, WritePort

from egru_hw.contract.config import bits_for
from egru_hw.link.cobs import BYTE
from egru_hw.link.frames import SLOTS

SLOT_BITS = bits_for(SLOTS)
SLOT_BYTES = 1 << BYTE  # the positions in a frame


def in_slot(number: Value, position: Value) -> Value:
    """Address of a byte of frame ``number``."""
    return Cat(position, number[:SLOT_BITS])


def full(newest: Value, oldest: Value) -> Value:
    """Whether frames ``oldest`` up to ``newest`` - 1 occupy all slots. They are never more."""
    return (newest - oldest)[SLOT_BITS]


def byte_memory(m: Module) -> tuple[WritePort, ReadPort]:
    """Block RAM for the bytes of all slots: a byte is read in one cycle."""
    m.submodules.bytes = memory = Memory(shape=BYTE, depth=SLOTS * SLOT_BYTES, init=[])
    return memory.write_port(), memory.read_port()


def end_memory(m: Module) -> tuple[WritePort, ReadPort]:
    """Distributed RAM for the ends of the payloads in all slots."""
    m.submodules.ends = memory = Memory(shape=BYTE, depth=SLOTS, init=[])
    return memory.write_port(), memory.read_port(domain="comb")
