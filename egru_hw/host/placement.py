"""A model as it lies in an accelerator, and from there its commands and results."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.image import Image, build_image
from egru_hw.contract.protocol import Command, Counter, Reply, Target, pack
from egru_hw.host import commands
from egru_hw.host.replies import HardwareResult, Replies
from golden.integer import IntegerEGRU
from golden.scaling import Scaling


@dataclass(frozen=True)
class Placement:
    """``model`` in an accelerator of ``config``.

    Args:
        scaling: of real inputs, if the model was trained on scaled ones.

    Attributes:
        image: what the accelerator's memories hold.
        slices: each layer's units among the accelerator's.
        units: the accelerator's units up to the last one in use.
    """

    model: IntegerEGRU
    config: Config
    scaling: Scaling | None = None

    @cached_property
    def image(self) -> Image:
        return build_image(self.model, self.config)

    @cached_property
    def slices(self) -> list[slice]:
        first = 0
        slices = []
        for units in self.model.hidden_sizes:
            slices.append(slice(first, first + units))
            first += self.config.layer_groups(units) * self.config.units_per_cycle
        return slices

    @property
    def units(self) -> int:
        return self.slices[-1].stop

    def layers(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Per layer (..., H), from values of all units (..., units)."""
        return tuple(values[..., units] for units in self.slices)

    def raw(self, inputs) -> np.ndarray:
        """(N, T, C) raw inputs, from raw integers or from real numbers: scaled and quantised.

        Raises:
            ValueError: the model does not take them.
        """
        inputs = np.asarray(inputs)
        if inputs.dtype.kind not in "iu":
            scaled = self.scaling(inputs) if self.scaling else inputs
            inputs = self.model.quantize_inputs(scaled)
        raw = self.model.checked_inputs(inputs)
        if max(self.model.readout_kind.spans(raw.shape[1])) > self.model.max_steps:
            raise ValueError(
                f"the read-out could overflow: this model takes at most {self.model.max_steps} "
                f"steps between two reads"
            )
        return raw

    def commands(self, raw_inputs: np.ndarray) -> np.ndarray:
        """Run each sequence of ``raw_inputs`` (N, T, C) from rest, and read its states."""
        reads = self.model.readout_kind.reads(raw_inputs.shape[1])
        packets = [np.empty(0, np.uint64)]
        for sequence in raw_inputs:
            packets += [
                pack(Command.RESET).reshape(1),
                commands.sequence(sequence, reads),
                commands.read(Target.STATE, 0, self.units),
            ]
        return np.concatenate(packets)

    def replies(self, count: int, steps: int) -> dict[Reply, int]:
        """Number of replies to :meth:`commands` for ``count`` sequences of ``steps`` steps, but for
        EVENTs."""
        reads = len(self.model.readout_kind.reads(steps))
        return {
            Reply.STEP: count * steps,
            Reply.OUTPUT: count * reads * self.model.outputs,
            Reply.DATA: count * self.units,
        }

    def result(
        self, replies: Replies, count: int, steps: int, counters: dict[Counter, int]
    ) -> HardwareResult:
        """What the replies to :meth:`commands` mean."""
        events = replies.events(self.units).reshape(count, steps, self.units)
        states = replies.data[: count * self.units].reshape(count, self.units)
        reads = len(self.model.readout_kind.reads(steps))
        sums = replies.outputs.reshape(count, reads, self.model.outputs)
        outputs = self.model.readout_kind.outputs(sums)
        return HardwareResult(self.layers(events), self.layers(states), outputs, counters)
