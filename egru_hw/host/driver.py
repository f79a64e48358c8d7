"""The host driver: one for simulations and boards, which differ in their transport only."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.image import Image, build_image
from egru_hw.contract.protocol import (
    VALUE_BITS,
    Command,
    Counter,
    Reply,
    Target,
    pack,
    unpack,
    word_bits,
)
from egru_hw.host.transport import Transport, TransportError
from golden.integer import IntegerEGRU
from golden.integer.numerics import EVENT


@dataclass(frozen=True, eq=False)
class HardwareResult:
    """The accelerator's results for N sequences of T steps.

    Attributes:
        events: per layer (N, T, H) event values, 0 where a unit is silent.
        states: per layer (N, H), the state h after the last step.
        outputs: sums of the read-out, as in :class:`golden.integer.IntegerResult`.
        counters: of all sequences together.
    """

    events: tuple[np.ndarray, ...]
    states: tuple[np.ndarray, ...]
    outputs: np.ndarray
    counters: dict[Counter, int]


def run(
    transport: Transport, config: Config, model: IntegerEGRU, raw_inputs: np.ndarray
) -> HardwareResult:
    """Load ``model`` and run it over ``raw_inputs`` (N, T, C), each sequence from rest.

    Raises:
        TransportError: the accelerator was built for another configuration, or does not answer.
        ValueError: ``raw_inputs`` are not what :meth:`golden.IntegerEGRU.run` takes.
    """
    raw_inputs = model.checked_inputs(raw_inputs)
    count, steps, _ = raw_inputs.shape
    read_units = _padded_units(model, config)
    reads = model.readout_kind.reads(steps)
    packets = [
        _read(Target.IDENTITY, 1),
        load_packets(build_image(model, config, report_events=True), config),
        _select(Target.COUNTERS),
        pack(Command.WRITE).reshape(1),
    ]
    for sequence in raw_inputs:
        packets += [
            pack(Command.RESET).reshape(1),
            sequence_packets(sequence, reads),
            _read(Target.STATE, read_units),
        ]
    packets.append(_read(Target.COUNTERS, len(Counter)))

    data_replies = 1 + count * read_units + len(Counter)
    expected = data_replies + count * (steps + len(reads) * model.outputs)
    transport.reset()
    transport.send(np.concatenate(packets))
    codes, indices, values = unpack(transport.receive(expected))

    data = values[codes == Reply.DATA]
    outputs = values[codes == Reply.OUTPUT]
    steps_done = int((codes == Reply.STEP).sum())
    if len(data) != data_replies or len(outputs) != count * len(reads) * model.outputs:
        raise TransportError(
            f"the accelerator sent {len(data)} data words and {len(outputs)} outputs where "
            f"{data_replies} and {count * len(reads) * model.outputs} were expected"
        )
    if steps_done != count * steps:
        raise TransportError(f"the accelerator did {steps_done} of {count * steps} steps")
    identity, *rest = data.tolist()
    if identity & ((1 << VALUE_BITS) - 1) != config.fingerprint:
        raise TransportError(
            f"the accelerator was built for another configuration: its identity is "
            f"{identity & 0xFFFFFFFF:08x}, expected {config.fingerprint:08x}"
        )
    states = np.array(rest[: count * read_units], np.int64).reshape(count, read_units)
    counters = {
        counter: value & ((1 << VALUE_BITS) - 1)
        for counter, value in zip(Counter, rest[-len(Counter) :], strict=True)
    }
    streamed = (codes == Reply.EVENT) | (codes == Reply.STEP)
    units = _unit_slices(model, config)
    events = decode_events(
        codes[streamed], indices[streamed], values[streamed], count * steps, read_units
    )
    return HardwareResult(
        tuple(events[:, u].reshape(count, steps, -1) for u in units),
        tuple(states[:, u] for u in units),
        model.readout_kind.outputs(outputs.reshape(count, len(reads), model.outputs)),
        counters,
    )


def load_packets(image: Image, config: Config) -> np.ndarray:
    """Commands that store ``image``."""
    packets = []
    for target, words in image.words.items():
        chunks = ceil(word_bits(config, target) / VALUE_BITS)
        width = chunks * VALUE_BITS // 8
        raw = b"".join(word.to_bytes(width, "little") for word in words)
        values = np.frombuffer(raw, dtype="<u4")
        packets += [_select(target), pack(Command.WRITE, 0, values)]
    return np.concatenate(packets)


def sequence_packets(sequence: np.ndarray, reads: Sequence[int] = ()) -> np.ndarray:
    """Commands for the steps of one sequence (T, C) of raw inputs; zeros send nothing.

    The read-out is read after each number of steps in ``reads``.
    """
    steps, inputs = np.nonzero(sequence)
    events = pack(Command.EVENT, inputs, sequence[steps, inputs])
    # A STEP follows the events of each step, and a READOUT those STEPs that are read.
    step, readout = pack([Command.STEP, Command.READOUT])
    ends = np.full(len(sequence), step)
    places = np.searchsorted(steps, np.arange(len(sequence)), side="right")
    after = np.array(reads, int) - 1
    ends = np.insert(ends, after + 1, readout)
    return np.insert(events, np.insert(places, after + 1, places[after]), ends)


def _select(target: Target) -> np.ndarray:
    return pack(Command.SELECT, target, 0).reshape(1)


def _read(target: Target, count: int) -> np.ndarray:
    return np.concatenate([_select(target), pack(Command.READ, 0, count).reshape(1)])


def _unit_slices(model: IntegerEGRU, config: Config) -> list[slice]:
    """Where each layer's units lie among the accelerator's."""
    first = 0
    slices = []
    for units in model.hidden_sizes:
        slices.append(slice(first, first + units))
        first += config.layer_groups(units) * config.units_per_cycle
    return slices


def _padded_units(model: IntegerEGRU, config: Config) -> int:
    return sum(config.layer_groups(h) * config.units_per_cycle for h in model.hidden_sizes)


def decode_events(codes, indices, values, steps: int, units: int) -> np.ndarray:
    """(steps, units) event values from EVENT and STEP replies in order."""
    events = np.zeros((steps, units), np.int64)
    is_event = codes == Reply.EVENT
    step = np.cumsum(~is_event)[is_event]
    unit, value = indices[is_event], values[is_event]
    bad = (unit >= units) | (value < 1) | (value > EVENT.max) | (step >= steps)
    if bad.any():
        first = int(np.argmax(bad))
        raise TransportError(
            f"the accelerator reported an impossible event: step {step[first]}, unit "
            f"{unit[first]}, value {value[first]}"
        )
    if len(np.unique(step * units + unit)) != len(step):
        raise TransportError("the accelerator reported one event twice")
    events[step, unit] = value
    return events
