"""Commands that load a model, run it and read from it."""

from collections.abc import Sequence
from math import ceil

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.image import Image
from egru_hw.contract.protocol import VALUE_BITS, Command, Target, pack, word_bits


def load(image: Image, config: Config) -> np.ndarray:
    """Store ``image``."""
    packets = []
    for target, words in image.words.items():
        chunks = ceil(word_bits(config, target) / VALUE_BITS)
        width = chunks * VALUE_BITS // 8
        raw = b"".join(word.to_bytes(width, "little") for word in words)
        packets.append(write(target, 0, np.frombuffer(raw, dtype="<u4")))
    return np.concatenate(packets)


def write(target: Target, address: int, chunks: np.ndarray | int) -> np.ndarray:
    """Write words of ``target`` from ``address`` on, given as chunks of 32 bits."""
    return np.append(_select(target, address), pack(Command.WRITE, 0, chunks))


def read(target: Target, address: int, count: int) -> np.ndarray:
    """Read ``count`` words of ``target`` from ``address`` on: as many DATA replies."""
    return np.append(_select(target, address), pack(Command.READ, 0, count))


def sequence(raw_inputs: np.ndarray, reads: Sequence[int] = ()) -> np.ndarray:
    """The steps of one sequence (T, C) of raw inputs; zeros send nothing.

    The read-out is read after each number of steps in ``reads``.
    """
    steps, inputs = np.nonzero(raw_inputs)
    events = pack(Command.EVENT, inputs, raw_inputs[steps, inputs])
    # A STEP follows the events of each step, and a READOUT those STEPs that are read.
    step, readout = pack([Command.STEP, Command.READOUT])
    ends = np.full(len(raw_inputs), step)
    places = np.searchsorted(steps, np.arange(len(raw_inputs)), side="right")
    after = np.array(reads, int) - 1
    ends = np.insert(ends, after + 1, readout)
    return np.insert(events, np.insert(places, after + 1, places[after]), ends)


def _select(target: Target, address: int) -> np.ndarray:
    return pack(Command.SELECT, target, address).reshape(1)
