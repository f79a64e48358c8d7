"""Accelerators for the device model, which know the integer models that a host may load."""

from math import ceil

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.image import LOADABLE
from egru_hw.contract.protocol import (
    VALUE_BITS,
    Command,
    Counter,
    Reply,
    Target,
    config_words,
    pack,
    unpack,
    word_bits,
    word_depth,
)
from egru_hw.contract.registers import register_addresses
from egru_hw.host.placement import Placement
from golden.integer import IntegerEGRU


class AcceleratorModel:
    """Executes commands as docs/interface.md describes them.

    Its memories must hold exactly one of ``models`` when it is to run a step. As in the hardware,
    they keep their contents at a reset, and lose them with the power.
    """

    def __init__(self, config: Config, *models: IntegerEGRU):
        self.config = config
        self.placements = [Placement(model, config) for model in models]
        self.power_up()

    def power_up(self) -> None:
        self.memories: dict[Target, dict[int, int]] = {target: {} for target in LOADABLE}
        self.memories[Target.REGISTERS] = dict.fromkeys(
            range(word_depth(self.config, Target.REGISTERS)), 0
        )
        self.found: Placement | None = None
        self.reset()

    def reset(self) -> None:
        self.target, self.address, self.chunks = Target.REGISTERS, 0, []
        self.counters = dict.fromkeys(Counter, 0)
        self._rest()

    def _rest(self) -> None:
        self.inputs: dict[int, int] = {}
        self.state, self.sums = None, 0

    def execute(self, command: int) -> list[int]:
        (code,), (index,), (value,) = (field.tolist() for field in unpack([command]))
        if code == Command.SELECT:
            self.target, self.address, self.chunks = Target(index % len(Target)), value, []
        elif code == Command.WRITE and self.target in LOADABLE:
            self.chunks.append(value & ((1 << VALUE_BITS) - 1))
            bits = word_bits(self.config, self.target)
            if len(self.chunks) == ceil(bits / VALUE_BITS):
                word = sum(chunk << (VALUE_BITS * n) for n, chunk in enumerate(self.chunks))
                self.memories[self.target][self.address] = word
                self.found = None
                self.address, self.chunks = self.address + 1, []
        elif code == Command.READ:
            return pack(Reply.DATA, 0, [self._word(n) for n in range(value)]).tolist()
        elif code == Command.RESET:
            self._rest()
        elif code == Command.EVENT:
            self.inputs[index] = value
        elif code == Command.STEP:
            return self._step()
        elif code == Command.READOUT:
            placement = self._placement()
            outputs = np.broadcast_to(self.sums, placement.model.outputs)
            self.sums = 0
            return pack(Reply.OUTPUT, np.arange(len(outputs)), outputs).tolist()
        return []

    def _word(self, address: int) -> int:
        if self.target == Target.IDENTITY:
            return config_words(self.config)[address]
        if self.target == Target.COUNTERS:
            return list(self.counters.values())[address]
        if self.target == Target.STATE and self.state is not None:
            states = np.zeros(self.config.max_units, np.int64)
            for units, (_, h) in zip(self._placement().slices, self.state, strict=True):
                states[units] = h[0]
            return int(states[address])
        return 0

    def _placement(self) -> Placement:
        if self.found:
            return self.found
        reports = register_addresses(self.config)["report_events"]
        for placement in self.placements:
            if all(
                self.memories[target].get(address) == word
                for target, words in placement.image.words.items()
                for address, word in enumerate(words)
                if (target, address) != (Target.REGISTERS, reports)
            ):
                self.found = placement
                return placement
        raise AssertionError("the memories hold none of the models")

    def _step(self) -> list[int]:
        placement = self._placement()
        raw = np.zeros((1, 1, placement.model.input_size), np.int64)
        for index, value in self.inputs.items():
            raw[0, 0, index] = value
        result = placement.model.run(raw, self.state)
        self.inputs, self.state = {}, result.state
        self.sums = self.sums + result.outputs[0].reshape(-1)
        self.counters[Counter.STEPS] += 1
        replies = [pack(Reply.STEP)]
        if self.memories[Target.REGISTERS][register_addresses(self.config)["report_events"]]:
            for units, layer in zip(placement.slices, result.events, strict=True):
                fired = np.flatnonzero(layer[0, 0])
                replies[-1:-1] = pack(Reply.EVENT, units.start + fired, layer[0, 0, fired])
        return [int(reply) for reply in replies]
