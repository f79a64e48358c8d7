"""What each unit of the accelerator does in which cycle, while a sequence passes through it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from egru_hw.contract.config import Config
from egru_hw.contract.protocol import Reply
from egru_hw.cost.cycles import WALK_TO_LANES, SequencePath
from egru_hw.cost.readout_path import FIRST_OUTPUT
from egru_hw.gateware.tokens import Kind
from golden.integer import IntegerEGRU, IntegerResult


class Track(StrEnum):
    """The units, from the host to the lanes and back."""

    COMMANDS = "host: commands"
    SEQUENCER = "sequencer"
    FETCH = "weight fetch"
    LANES = "lanes"
    UPDATE = "unit update"
    EVENTS = "event path"
    READOUT = "read-out"
    REPLIES = "host: replies"


@dataclass(frozen=True)
class Span:
    """Successive cycles in which a unit holds one element, or waits.

    Attributes:
        track: the unit.
        what: the element, or what the unit waits for.
        begin: first cycle; the sequencer takes the sequence's RESET in cycle 0.
        cycles: how many.
        waits: whether the unit waits.
        step: of the sequence, from 0 on; None for its RESET.
        layer: None for what belongs to no layer.
    """

    track: Track
    what: str
    begin: int
    cycles: int
    waits: bool
    step: int | None
    layer: int | None

    @property
    def end(self) -> int:
        """The cycle after the last."""
        return self.begin + self.cycles


@dataclass(frozen=True)
class Timeline:
    """The spans of one sequence, by track and begin; those of a track nest or follow each other.

    Attributes:
        cycles: those that ``Counter.CYCLES`` counts for the sequence; they begin with cycle 1.
    """

    spans: tuple[Span, ...]
    cycles: int

    def during(self, step: int) -> tuple[Span, ...]:
        """The spans that overlap with a step: from its first command to its STEP reply."""
        own = [span for span in self.spans if span.step == step]
        begin = min(span.begin for span in own if span.track is Track.COMMANDS)
        end = max(span.end for span in own if span.what == f"reply {Reply.STEP.name}")
        return tuple(span for span in self.spans if span.begin < end and span.end > begin)


def timeline(
    model: IntegerEGRU, result: IntegerResult, config: Config, sequence: int = 0
) -> Timeline:
    """The timeline of a sequence of ``result``, under the conditions of :func:`cost`."""
    path = _Recorder(model, config)
    for _ in path.play(result, sequence):
        pass
    order = {track: number for number, track in enumerate(Track)}
    spans = sorted(path.spans, key=lambda span: (order[span.track], span.begin, -span.cycles))
    return Timeline(tuple(spans), path.cycles)


_BEFORE_UPDATE = (Track.COMMANDS, Track.SEQUENCER, Track.FETCH, Track.LANES)


class _Element(NamedTuple):
    """What the sequencer takes: a command, or an element of a list."""

    what: str
    layer: int | None
    kind: int | None = None  # as which it is sent on, if it is
    command: bool = False


class _Recorder(SequencePath):
    """A sequence that leaves spans on its way."""

    def __init__(self, model: IntegerEGRU, config: Config):
        self.spans: list[Span] = []
        self.time: int | None = None  # step
        self.elements: Iterator[_Element] = iter(())
        self.element = _Element("", None)
        self.taken = -1  # the sequencer has taken its latest element
        self.fired: list[Sequence[int]] = [() for _ in model.hidden_sizes]
        self.leaving: Iterator[int] = iter(())
        self.layer: int | None = None  # of the unit update
        super().__init__(model, config)

    def command(self, kind: int) -> None:
        self.elements = iter([_Element(Kind(kind).name, None, kind, command=True)])
        self.layer = None
        super().command(kind)

    def step(self, inputs: int, fired: Sequence[Sequence[int]]) -> int:
        self.time = 0 if self.time is None else self.time + 1
        self.elements = self._elements(inputs)
        return super().step(inputs, fired)

    def _elements(self, inputs: int) -> Iterator[_Element]:
        """What the sequencer takes in a step. Lists are looked up when they are replayed."""
        for _ in range(inputs):
            yield _Element("input event", 0, Kind.EVENT, command=True)
        yield _Element("STEP", 0, command=True)
        for layer in range(len(self.fired)):
            lists = []
            if self.time:
                lists.append((layer, "recurrent event"))
            if layer:
                lists.append((layer - 1, "event"))
            for source, what in lists:
                for unit in self.fired[source]:
                    yield _Element(f"{what} of unit {unit}", layer, Kind.EVENT)
                yield _Element("end of the list", layer)
            yield _Element(f"update of layer {layer}", layer, Kind.UPDATE)

    def _accepted(self, earliest: int) -> int:
        accepted = super()._accepted(earliest)
        self.element = next(self.elements)
        # The output register holds an element until the last of these cycles, and is then empty.
        held = max(self.output_free, self.taken + 1)
        marked = max(held, self.gate)
        self._span(Track.SEQUENCER, "waits for the unit update", held + 1, marked, waits=True)
        self._span(Track.SEQUENCER, "waits for events", marked + 1, accepted, waits=True)
        if self.element.command:
            self._span(Track.COMMANDS, self.element.what, accepted, accepted)
        if self.element.kind is None:
            self._span(Track.SEQUENCER, self.element.what, accepted + 1, accepted + 1)
        self.taken = accepted
        return accepted

    def _fetch(self, accepted: int, rows: int) -> None:
        super()._fetch(accepted, rows)
        what = self.element.what
        leaves = self.output_free
        wait = "waits for the weight fetch"
        self._span(Track.SEQUENCER, wait, accepted + 1, leaves - 1, waits=True)
        self._span(Track.SEQUENCER, what, leaves, leaves)
        self._span(Track.FETCH, what, self.located + 1, self.walked)
        if self.element.kind == Kind.EVENT:
            first = self.located + WALK_TO_LANES
            self._span(Track.LANES, what, first, first + rows - 1)

    def _update(self, taken: int, layer: int, units: Sequence[int]):
        self.layer, self.leaving = layer, iter(units)
        self._span(Track.UPDATE, "issues groups of units", taken + 1, taken + self.groups[layer])
        self.fired[layer] = units
        return super()._update(taken, layer, units)

    def _mark(self, earliest: int, kind: int, last_layer: bool = False) -> int:
        marked = super()._mark(earliest, kind, last_layer)
        self._span(Track.UPDATE, self.element.what, self.gate, marked)
        return marked

    def _depart(self, sent: int, kind: int, last_layer: bool, reported: bool) -> None:
        super()._depart(sent, kind, last_layer, reported)
        event, departed, readout = kind == Kind.EVENT, self.departed, self.readout
        what = f"event of unit {next(self.leaving)}" if event else self.element.what
        wait = "waits for the read-out or the host"
        self._span(Track.EVENTS, wait, sent + 1, departed - 1, waits=True)
        self._span(Track.EVENTS, what, departed, departed)
        if reported:
            reply = Reply.EVENT if event else Reply.STEP
            self._span(Track.REPLIES, f"reply {reply.name}", departed, departed)
        if kind == Kind.READOUT and readout.outputs:
            first, last = readout.sending[-1]
            self._span(Track.READOUT, what, first - FIRST_OUTPUT + 1, readout.retired)
            self._span(Track.REPLIES, f"replies {Reply.OUTPUT.name}", first, last)
        elif last_layer:
            last = readout.multiplied
            self._span(Track.READOUT, what, last - readout.pitch + 1, last)
        elif not event:
            self._span(Track.READOUT, what, readout.retired, readout.retired)

    def _span(self, track: Track, what: str, first: int, last: int, waits: bool = False) -> None:
        """From cycle ``first`` to cycle ``last``; none if that is earlier."""
        if last >= first:
            layer = self.element.layer if track in _BEFORE_UPDATE else self.layer
            self.spans.append(Span(track, what, first, last - first + 1, waits, self.time, layer))
