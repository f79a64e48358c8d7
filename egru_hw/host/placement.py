"""A model as it lies in an accelerator, and from there its commands and results."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.image import Image, build_image
from egru_hw.contract.protocol import Command, Counter, Reply, Target, pack
from egru_hw.host import commands
from egru_hw.host.replies import HardwareResult, Replies
from golden.integer import IntegerEGRU
from golden.lengths import checked, real_steps
from golden.preparation import Preparation


@dataclass(frozen=True)
class Placement:
    """``model`` in an accelerator of ``config``.

    Args:
        prepare: what becomes of real inputs before they are quantised.

    Attributes:
        image: what the accelerator's memories hold.
        slices: each layer's units among the accelerator's.
        units: the accelerator's units up to the last one in use.
    """

    model: IntegerEGRU
    config: Config
    prepare: Preparation = field(default_factory=Preparation)

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

    def raw(self, inputs, lengths=None) -> tuple[np.ndarray, np.ndarray]:
        """(N, T, C) raw inputs, from raw integers or from real numbers: prepared and quantised; and
        the lengths (N,) of the sequences, which all have T steps if None are given.

        Raises:
            ValueError: the model does not take them, or the lengths do not fit them.
        """
        inputs = np.asarray(inputs)
        if inputs.dtype.kind not in "iu":
            inputs = self.model.quantize_inputs(self.prepare(inputs), lengths)
        raw = self.model.checked_inputs(inputs, lengths)
        lengths = checked(lengths, *raw.shape[:2])
        longest = int(lengths.max(initial=1))
        if max(self.model.readout_kind.spans(longest)) > self.model.max_steps:
            raise ValueError(
                f"the read-out could overflow: this model takes at most {self.model.max_steps} "
                f"steps between two reads"
            )
        return raw, lengths

    def commands(self, raw_inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Run each sequence of ``raw_inputs`` (N, T, C) from rest to its end, and read its
        states."""
        packets = [np.empty(0, np.uint64)]
        for sequence, length in zip(raw_inputs, lengths.tolist(), strict=True):
            packets += [
                pack(Command.RESET).reshape(1),
                commands.sequence(sequence[:length], self.model.readout_kind.reads(length)),
                commands.read(Target.STATE, 0, self.units),
            ]
        return np.concatenate(packets)

    def replies(self, lengths: np.ndarray) -> dict[Reply, int]:
        """Number of replies to :meth:`commands` for sequences of ``lengths`` (N,), but for
        EVENTs."""
        return {
            Reply.STEP: int(lengths.sum()),
            Reply.OUTPUT: sum(self._reads(lengths)) * self.model.outputs,
            Reply.DATA: len(lengths) * self.units,
        }

    def result(
        self, replies: Replies, lengths: np.ndarray, steps: int, counters: dict[Counter, int]
    ) -> HardwareResult:
        """What the replies to :meth:`commands` mean, padded to ``steps`` steps."""
        count, size, kind = len(lengths), self.model.outputs, self.model.readout_kind
        events = np.zeros((count, steps, self.units), np.int64)
        events[real_steps(lengths, steps)] = replies.events(self.units)
        states = replies.data[: count * self.units].reshape(count, self.units)
        outputs = np.zeros((*events.shape[: 1 + kind.per_step], size), np.int64)
        reads = self._reads(lengths)
        sums = replies.outputs.reshape(sum(reads), size)
        ends = np.cumsum(reads, dtype=int).tolist()
        for n, (length, end) in enumerate(zip(lengths.tolist(), ends, strict=True)):
            outputs[kind.place(n, length)] = kind.outputs(sums[None, end - reads[n] : end])[0]
        return HardwareResult(self.layers(events), self.layers(states), outputs, counters, lengths)

    def _reads(self, lengths: np.ndarray) -> list[int]:
        """How often the read-out of each sequence is read."""
        return [len(self.model.readout_kind.reads(length)) for length in lengths.tolist()]
