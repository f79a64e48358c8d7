"""The interface of a read-out kind. It works on NumPy arrays and on PyTorch tensors alike."""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Any, ClassVar


class ReadoutKind(ABC):
    """When the linear read-out is evaluated in a sequence of T steps, and on what.

    Integer model and hardware add ``weight @ events + bias`` of every step to accumulators,
    which are read and cleared at the steps of :meth:`reads`. The float network applies the same
    linear map to what :meth:`pool` returns.

    Attributes:
        name: as in recipes, tasks and model files.
        per_step: whether each step has outputs and targets, (N, T, K); otherwise each sequence
            has, (N, K).
    """

    name: ClassVar[str]
    per_step: ClassVar[bool]

    @abstractmethod
    def pool(self, events: Any, lengths: Any = None) -> Any:
        """What the float network's linear map reads, from the last layer's events (N, T, H), which
        are 0 after the ``lengths`` (N,) of the sequences, if they differ."""

    @abstractmethod
    def reads(self, steps: int) -> tuple[int, ...]:
        """After how many steps the accumulators are read and cleared, in increasing order."""

    @abstractmethod
    def outputs(self, sums: Any) -> Any:
        """The model's outputs, (N, K) or (N, T, K), from the sums of all reads (N, R, K)."""

    @abstractmethod
    def divisor(self, steps: Any) -> Any:
        """Number of steps that an output averages over, or an array of them for sequences of
        different lengths."""

    def place(self, chosen: Any, steps: int) -> Any:
        """Where the outputs of ``chosen`` sequences of ``steps`` steps are in those of all."""
        return (chosen, slice(steps)) if self.per_step else chosen

    def spans(self, steps: int) -> list[int]:
        """How many steps each read sums over."""
        return [end - start for start, end in pairwise((0, *self.reads(steps)))]

    def totals(self, events: Any) -> Any:
        """Sums (N, R, H) of the events (N, T, H) between reads. Exact if the sums are."""
        reads = self.reads(events.shape[1])
        if len(reads) == events.shape[1]:
            return events
        sums = events.cumsum(1)
        before = (sums - events)[:, [0, *reads[:-1]]]
        return sums[:, [read - 1 for read in reads]] - before
