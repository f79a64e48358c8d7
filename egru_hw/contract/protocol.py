"""What travels to and from the accelerator: one packet layout, its codes, and the register map.

The hardware and the host both derive from this file.
"""

from enum import IntEnum, unique

import numpy as np
from amaranth.lib import data

from egru_hw.contract.config import INDEX_BITS, Config, bits_for
from golden.integer import numerics

CODE_BITS = 4
VALUE_BITS = 32

PACKET = data.StructLayout({"value": VALUE_BITS, "index": INDEX_BITS, "code": CODE_BITS})
"""Commands and replies alike: a code, an index, a 32-bit value (two's complement)."""


def pack(code, index=0, value=0) -> np.ndarray:
    """Packets as an array of uint64, in PACKET's bits; arguments broadcast."""
    fields = {"code": code, "index": index, "value": value}
    packet = np.zeros(np.broadcast(code, index, value).shape, np.uint64)
    for name, field in PACKET:
        bits = np.asarray(fields[name]).astype(np.int64) & ((1 << field.width) - 1)
        packet |= bits.astype(np.uint64) << np.uint64(field.offset)
    return packet


def unpack(packets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, indices and signed values of packets, as int64."""
    raw = np.asarray(packets, dtype=np.uint64)
    fields = {
        name: ((raw >> np.uint64(field.offset)) & np.uint64((1 << field.width) - 1)).astype(
            np.int64
        )
        for name, field in PACKET
    }
    return fields["code"], fields["index"], fields["value"].astype(np.int32).astype(np.int64)


@unique
class Command(IntEnum):
    """To the accelerator. Commands act in order."""

    NOP = 0
    SELECT = 1  # index: a Target, value: word address. What WRITE and READ refer to.
    WRITE = 2  # value: the next 32 bits, least significant first; a full word is stored
    READ = 3  # value: how many words; each comes back as a DATA reply
    RESET = 4  # a new sequence: zero states, no events, cleared read-out
    EVENT = 5  # index: input, value: its quantised value. At most one per input and step.
    STEP = 6  # all events of this step were sent
    READOUT = 7  # send the read-out's accumulators, then clear them


@unique
class Reply(IntEnum):
    """From the accelerator. Replies of one code come in order; STEP follows its EVENTs."""

    EVENT = 1  # index: unit, counted over all layers, value: event value
    STEP = 2  # a step is complete
    OUTPUT = 3  # index: output, value: accumulator
    DATA = 4  # index: low bits of the address, value: the word


@unique
class Target(IntEnum):
    """Memories behind SELECT. Words wider than 32 bits are written in several WRITEs."""

    REGISTERS = 0  # write only
    WEIGHTS = 1  # write only; a row of lanes
    PARAMETERS = 2  # write only; biases r, z, p, q and threshold of units_per_cycle units
    READOUT = 3  # write only; a row of read-out lanes
    STATE = 4  # read only; a unit's state h
    COUNTERS = 5  # read; any write clears them all
    IDENTITY = 6  # read only; Config.fingerprint


@unique
class Counter(IntEnum):
    """Addresses in ``Target.COUNTERS``; each 32 bits, wrapping."""

    CYCLES = 0  # while a step is in progress
    STEPS = 1
    INPUT_EVENTS = 2  # of every layer
    RECURRENT_EVENTS = 3
    ROWS = 4  # cycles in which the lanes multiplied
    MACS = 5  # multiply-accumulates on real units, padding left out
    STALL_INPUT = 6  # lanes without work: the host sent nothing
    STALL_UPDATE = 7  # ...: events or accumulators were still to come from the unit update
    STALL_WEIGHTS = 8  # ...: the weight store had not answered
    STALL_OUTPUT = 9  # the unit update waited for the read-out or the reply stream


def global_registers(config: Config) -> dict[str, int]:
    """Name and width of the registers that exist once."""
    return {
        "last_layer": bits_for(config.max_layers),
        "outputs": bits_for(config.max_outputs + 1),
        "readout_pitch": bits_for(config.readout_pitch + 1),
        "bias_operand": numerics.OPERAND.width,
        "report_events": 1,
    }


def layer_registers(config: Config) -> dict[str, int]:
    """Name and width of the registers that each layer has."""
    return {
        "units": bits_for(config.max_units + 1),
        "pitch": bits_for(config.max_pitch + 1),
        "last_group": bits_for(config.groups),
        "first_group": bits_for(config.groups),
        "input_base": bits_for(config.weight_rows),
        "recurrent_base": bits_for(config.weight_rows),
        "input_alignment": bits_for(numerics.MAX_ALIGNMENT + 1),
        "recurrent_alignment": bits_for(numerics.MAX_ALIGNMENT + 1),
    }


def register_layout(config: Config) -> data.StructLayout:
    """All registers as the hardware sees them; ``layers`` is an array."""
    layer = data.StructLayout(layer_registers(config))
    return data.StructLayout(
        {**global_registers(config), "layers": data.ArrayLayout(layer, config.max_layers)}
    )


def register_addresses(config: Config) -> dict[str | tuple[int, str], int]:
    """Address in ``Target.REGISTERS`` of each global name and each (layer, name)."""
    names: list[str | tuple[int, str]] = list(global_registers(config))
    for layer in range(config.max_layers):
        names += [(layer, name) for name in layer_registers(config)]
    return {name: address for address, name in enumerate(names)}


def word_bits(config: Config, target: Target) -> int:
    """Width of a word of ``target``."""
    return {
        Target.REGISTERS: VALUE_BITS,
        Target.WEIGHTS: config.row_bits,
        Target.PARAMETERS: config.units_per_cycle * config.parameter_bits,
        Target.READOUT: config.readout_lanes * config.weight_bits,
        Target.STATE: numerics.STATE.width,
        Target.COUNTERS: VALUE_BITS,
        Target.IDENTITY: VALUE_BITS,
    }[target]


def word_depth(config: Config, target: Target) -> int:
    """Number of words of ``target``."""
    return {
        Target.REGISTERS: len(register_addresses(config)),
        Target.WEIGHTS: config.weight_rows,
        Target.PARAMETERS: config.groups,
        Target.READOUT: config.readout_rows,
        Target.STATE: config.max_units,
        Target.COUNTERS: len(Counter),
        Target.IDENTITY: 1,
    }[target]
