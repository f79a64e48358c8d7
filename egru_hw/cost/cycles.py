"""The accelerator's cycles, computed from a model's events alone.

Every element (command, event, marker) passes a chain of registers and queues. The cycle in which
it leaves each of them follows from when it arrived and when its predecessors left. No signal is
simulated, and the result is exact: it equals ``Counter.CYCLES`` of the hardware if the host never
lets commands run out, takes every reply at once, has events reported, and the weights are on chip.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.protocol import Counter
from egru_hw.cost.readout_path import ReadoutPath
from egru_hw.gateware.lane_slice import LaneSlice
from egru_hw.gateware.tokens import Kind
from egru_hw.gateware.unit_group import UnitGroup
from golden.integer import IntegerEGRU, IntegerResult
from golden.lengths import real_steps

WALK_TO_LANES = 2  # cycles from the end of ``located`` in WeightFetch to the first row at the lanes


@dataclass(frozen=True, eq=False)
class Cost:
    """What N sequences of T steps cost.

    Attributes:
        counters: what the accelerator counts, without its stalls.
        cycles: (N,), those of each sequence, from its RESET to the end of its read-out.
        latency: (N, T), cycles from the first command of a step to its STEP reply; 0 after the end
            of a shorter sequence. Commands are counted when the sequencer takes them.
        lengths: (N,), the steps of each sequence.
    """

    counters: dict[Counter, int]
    cycles: np.ndarray
    latency: np.ndarray
    lengths: np.ndarray

    @property
    def steps(self) -> int:
        """Of all sequences together."""
        return int(self.lengths.sum())

    @property
    def latencies(self) -> np.ndarray:
        """Of all steps that there are, in one row."""
        return self.latency[real_steps(self.lengths, self.latency.shape[1])]


def cost(model: IntegerEGRU, result: IntegerResult, config: Config) -> Cost:
    """The cost of ``result``, what ``model`` computed from rest, on an accelerator of ``config``.

    Takes a fraction of a millisecond a step of the shipped models.
    """
    count, steps = result.input_events[0].shape
    cycles = np.empty(count, np.int64)
    latency = np.zeros((count, steps), np.int64)
    for n, length in enumerate(result.lengths.tolist()):
        path = SequencePath(model, config)
        latency[n, :length] = list(path.play(result, n))
        cycles[n] = path.cycles
    inputs = [int(events.sum()) for events in result.input_events]
    recurrent = [int(events.sum()) for events in result.recurrent_events]
    rows = sum(
        (i + r) * config.pitch(units)
        for i, r, units in zip(inputs, recurrent, model.hidden_sizes, strict=True)
    )
    counters = {
        Counter.CYCLES: int(cycles.sum()),
        Counter.STEPS: int(result.lengths.sum()),
        Counter.INPUT_EVENTS: sum(inputs),
        Counter.RECURRENT_EVENTS: sum(recurrent),
        Counter.ROWS: rows,
        Counter.MACS: sum(int(operations.sum()) for operations in result.operations),
    }
    return Cost(counters, cycles, latency, result.lengths)


@dataclass
class _List:
    """A layer's events: the cycles in which they were appended, and that of the close."""

    appended: Sequence[int]
    closed: int


class SequencePath:
    """A sequence on its way through the accelerator. The sequencer takes its RESET in cycle 0."""

    def __init__(self, model: IntegerEGRU, config: Config):
        self.reads = model.readout_kind.reads
        self.per_cycle = config.units_per_cycle
        self.groups = [config.layer_groups(units) for units in model.hidden_sizes]
        self.pitches = [config.pitch(units) for units in model.hidden_sizes]
        self.readout = ReadoutPath(max(1, -(-model.outputs // config.readout_lanes)), model.outputs)
        self.lists: list[_List | None] = [None] * len(self.groups)
        self.now = 0  # the sequencer is in its next state
        self.gate = 0  # the unit update has taken the last marker before this cycle
        self.output_free = 0  # the sequencer's output register is, at the end of this cycle
        self.located = -1  # the fetch began to walk along the rows of its last element
        self.walked = -1  # and requested the last of them
        self.update_idle = 0  # the unit update can take a marker
        self.departed = 0  # the last spike left the unit update
        self.command(Kind.RESET)

    @property
    def cycles(self) -> int:
        return self.readout.retired

    def play(self, result: IntegerResult, sequence: int) -> Iterator[int]:
        """Pass the steps and reads of a sequence of ``result``; yields each step's latency."""
        length = result.lengths[sequence]
        inputs = result.input_events[0][sequence, :length].tolist()
        reads = frozenset(self.reads(len(inputs)))
        for t, count in enumerate(inputs):
            fired = [np.flatnonzero(events[sequence, t]).tolist() for events in result.events]
            yield self.step(count, fired)
            if t + 1 in reads:
                self.command(Kind.READOUT)

    def command(self, kind: int) -> None:
        """RESET or READOUT."""
        taken = self._marker(self._accepted(self.now))
        self._mark(taken + 1, kind)

    def step(self, inputs: int, fired: Sequence[Sequence[int]]) -> int:
        """A step with a number of input events and the units that fire in each layer; returns its
        latency."""
        began = None
        for _ in range(inputs):
            accepted = self._accepted(self.now)
            began = accepted if began is None else began
            self._fetch(accepted, self.pitches[0])
            self.now = accepted + 1
        accepted = self._accepted(self.now)  # STEP
        began = accepted if began is None else began
        self.now = accepted + 1
        for layer, units in enumerate(fired):
            own = self.lists[layer]
            if own:
                self._replay(own, self.pitches[layer])
            if layer:
                below = self.lists[layer - 1]
                assert below
                self._replay(below, self.pitches[layer])
            taken = self._marker(self._accepted(self.now))
            self.lists[layer] = self._update(taken, layer, units)
        return self.departed - began

    def _accepted(self, earliest: int) -> int:
        """When the sequencer's output register accepts an element offered from ``earliest`` on."""
        return max(earliest, self.output_free, self.gate)

    def _fetch(self, accepted: int, rows: int) -> None:
        """An element accepted by the sequencer's output register enters the weight fetch."""
        self.output_free = max(accepted + 1, self.located)
        self.located = max(self.output_free + 1, self.walked)
        self.walked = self.located + rows

    def _replay(self, events: _List, pitch: int) -> None:
        """The events of a list, then its end."""
        read, accepted = self.now, self.now
        for appended in events.appended:
            read = max(read + 1, appended + 1, accepted)
            accepted = self._accepted(read + 1)
            self._fetch(accepted, pitch)
        read = max(read + 1, events.closed + 1, accepted)
        self.now = self._accepted(read + 1) + 1

    def _marker(self, accepted: int) -> int:
        """A marker goes to the unit update; nothing follows it until then. Returns when."""
        self._fetch(accepted, 1)
        arrives = self.located + WALK_TO_LANES + LaneSlice.LATENCY
        taken = max(arrives, self.update_idle)
        self.gate, self.now = taken + 1, accepted + 1
        return taken

    def _update(self, taken: int, layer: int, units: Sequence[int]) -> _List:
        """Update the units of a layer, from the cycle in which its marker was taken."""
        last_layer = layer == len(self.groups) - 1
        appended = []
        head, loaded, sent, group = -1, -1, -1, -1
        for unit in units:
            if unit // self.per_cycle != group:
                group = unit // self.per_cycle
                fired = taken + 1 + group + UnitGroup.LATENCY
                loaded = max(fired + 1, head)  # the queue's output register
                head = max(loaded + 1, sent)
                sent = head
            sent = max(sent + 1, self.departed)
            self._depart(sent, Kind.EVENT, last_layer, reported=True)
            appended.append(self.departed)
        drained = max(taken + self.groups[layer] + UnitGroup.LATENCY, sent) + 1
        closed = self._mark(drained + 1, Kind.UPDATE, last_layer)
        return _List(appended, closed)

    def _mark(self, earliest: int, kind: int, last_layer: bool = False) -> int:
        """The unit update forwards a marker. Returns when it leaves the state MARK."""
        marked = max(earliest, self.departed)
        self._depart(marked, kind, last_layer, reported=last_layer)
        self.update_idle = marked + 1
        return marked

    def _depart(self, sent: int, kind: int, last_layer: bool, reported: bool) -> None:
        """A spike in the output register from ``sent`` on leaves for the read-out and the host."""
        departed = max(sent + 1, self.readout.room)
        sending = self.readout.sending
        if reported:
            while sending and sending[0][0] <= departed:
                departed = max(departed, sending.popleft()[1] + 1)
        self.departed = departed
        self.readout.push(departed, kind, last_layer)
