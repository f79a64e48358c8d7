"""The protocol of the accelerator: one packet layout, its codes, and the targets behind SELECT.

The hardware and the host both derive from this file.
"""

from collections.abc import Sequence
from dataclasses import astuple, fields
from enum import IntEnum, unique

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data

from egru_hw.contract.config import INDEX_BITS, Config, bits_for
from egru_hw.contract.registers import register_addresses
from golden.integer import SUMS, numerics

VERSION = 2
"""Of the protocol: packets, targets, and the frames that carry them."""

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


class _Described(IntEnum):
    """An enum whose members carry the sentence that docs/interface.md prints."""

    description: str

    def __new__(cls, value: int, description: str):
        member = int.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


class _Code(_Described):
    """The code of a packet, with the number of bytes that its value takes on a line.

    A value of one byte is unsigned, others are signed.
    """

    value_bytes: int

    def __new__(cls, value: int, value_bytes: int, description: str):
        member = int.__new__(cls, value)
        member._value_ = value
        member.value_bytes = value_bytes
        member.description = description
        return member


@unique
class Command(_Code):
    """To the accelerator. Commands act in order."""

    NOP = 0, 0, "Does nothing."
    SELECT = (
        1,
        4,
        (
            "Selects what WRITE and READ access. index: a target; value: the address of a word in "
            "it. Discards the chunks of an incomplete word. Waits until no step is in progress."
        ),
    )
    WRITE = (
        2,
        4,
        (
            "value: the next 32 bits of the selected word, least significant chunk first. The "
            "last chunk stores the word and increments the address. Waits until no step is in "
            "progress."
        ),
    )
    READ = (
        3,
        4,
        (
            "value: the number of words to read, starting at the selected address; bits beyond the "
            "width of the largest address are ignored. Each word is returned in one DATA reply and "
            "increments the address. Waits until no step is in progress."
        ),
    )
    RESET = (
        4,
        0,
        (
            "Starts a new sequence: sets all states to zero, discards the events of the previous "
            "step and clears the read-out's accumulators. No reply."
        ),
    )
    EVENT = (
        5,
        2,
        (
            "Adds an input to the next step. index: the input; value: its quantised value, signed, "
            "in the input format. Zeros need not be sent. At most one per input and step. No "
            "reply."
        ),
    )
    STEP = (
        6,
        0,
        (
            "Computes the step; sent after all EVENTs of the step. The replies are EVENT replies, "
            "if report_events is set, and then one STEP reply."
        ),
    )
    READOUT = (
        7,
        0,
        (
            "Sends the read-out's accumulators as `outputs` OUTPUT replies, then clears them. They "
            "hold the sums over all steps since the last RESET or READOUT."
        ),
    )


@unique
class Reply(_Code):
    """From the accelerator. Replies of one code come in order; STEP follows its EVENTs."""

    EVENT = (
        1,
        1,
        (
            "A unit emitted an event. index: the unit, numbered across all layers, with each layer "
            "starting at a multiple of units_per_cycle; value: the event's value, 1 to 255."
        ),
    )
    STEP = 2, 0, "A step is complete; all its EVENT replies have been sent. index and value are 0."
    OUTPUT = 3, 4, "index: the output; value: its accumulator, signed. Sent in order of index."
    DATA = 4, 4, "index: the low bits of the word's address; value: the word."


@unique
class Target(_Described):
    """Memories behind SELECT. Words wider than 32 bits are written in several WRITEs."""

    REGISTERS = 0, "Write-only. The model's registers."
    WEIGHTS = 1, "Write-only. Rows of weights of all layers."
    PARAMETERS = 2, "Write-only. Biases and thresholds, units_per_cycle units per word."
    READOUT = (
        3,
        "Write-only. Rows of weights of the read-out; the bias follows those of the last unit.",
    )
    STATE = 4, "Read-only. The state h of each unit after the last step, signed."
    COUNTERS = 5, "The counters. Writing any complete word clears all of them."
    IDENTITY = 6, "Read-only. What the accelerator is: its configuration and protocol version."
    MODEL = (
        7,
        (
            "Read-only. One word, the digest of the model that is built into the memories; 0 if "
            "there is none, or if a word of REGISTERS, WEIGHTS, PARAMETERS or READOUT has been "
            "written since power-up."
        ),
    )


@unique
class Counter(_Described):
    """Addresses in ``Target.COUNTERS``; each 32 bits, wrapping."""

    CYCLES = 0, "Clock cycles while a step is in progress."
    STEPS = 1, "Steps completed."
    INPUT_EVENTS = 2, "Events that layers received from below: inputs, and events of lower layers."
    RECURRENT_EVENTS = 3, "Events that layers received from their own previous step."
    ROWS = 4, "Cycles in which the lanes multiplied."
    MACS = 5, "Multiply-accumulates for existing units; unused lanes are not counted."
    STALL_INPUT = 6, "Cycles without a multiplication: the host had not sent the next command."
    STALL_UPDATE = 7, "Cycles without a multiplication: the unit update was not finished."
    STALL_WEIGHTS = 8, "Cycles without a multiplication: the weight store had not answered."
    STALL_OUTPUT = 9, "Cycles without a multiplication: a reply or the read-out was not accepted."


PARAMETERS = data.StructLayout(
    {
        "bias": data.StructLayout(
            {name: Shape(numerics.BIAS.width, numerics.BIAS.signed) for name in SUMS}
        ),
        "threshold": Shape(numerics.THRESHOLD.width, numerics.THRESHOLD.signed),
    }
)
"""The parameters of one unit, as stored in ``Target.PARAMETERS``."""


def word_bits(config: Config, target: Target) -> int:
    """Width of a word of ``target``."""
    return {
        Target.REGISTERS: VALUE_BITS,
        Target.WEIGHTS: config.row_bits,
        Target.PARAMETERS: config.units_per_cycle * PARAMETERS.size,
        Target.READOUT: config.readout_lanes * config.weight_bits,
        Target.STATE: numerics.STATE.width,
        Target.COUNTERS: VALUE_BITS,
        Target.IDENTITY: VALUE_BITS,
        Target.MODEL: VALUE_BITS,
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
        Target.IDENTITY: len(IDENTITY),
        Target.MODEL: 1,
    }[target]


def address_bits(config: Config) -> int:
    """Width of the address that SELECT sets, enough for every target."""
    return max(bits_for(word_depth(config, target)) for target in Target)


IDENTITY = ("fingerprint", "version", *(field.name for field in fields(Config)))
"""The words of ``Target.IDENTITY``: :attr:`Config.fingerprint`, :data:`VERSION`, and the sizes."""


def config_words(config: Config) -> list[int]:
    """What ``Target.IDENTITY`` holds in hardware of ``config``."""
    return [config.fingerprint, VERSION, *astuple(config)]


def config_from_words(words: Sequence[int]) -> Config:
    """The configuration of the hardware whose ``Target.IDENTITY`` holds ``words``, unsigned.

    Raises:
        ValueError: they are of another version of the protocol, or damaged.
    """
    fingerprint, version, *sizes = words
    if version != VERSION:
        raise ValueError(
            f"the accelerator has version {version} of the protocol, and this host {VERSION}: "
            f"use a host of that version, or rebuild the accelerator"
        )
    try:
        config = Config(**dict(zip(IDENTITY[2:], sizes, strict=True)))
        if config.fingerprint != fingerprint:
            raise ValueError(f"its fingerprint is {fingerprint:08x}, not {config.fingerprint:08x}")
    except ValueError as error:
        raise ValueError(f"the accelerator's identity is damaged: {error}") from None
    return config
