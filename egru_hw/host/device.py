"""An accelerator as a Python object, whatever connects it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from egru_hw.contract.config import PRESETS, Config
from egru_hw.contract.protocol import (
    IDENTITY,
    Counter,
    Reply,
    Target,
    config_from_words,
)
from egru_hw.contract.registers import register_addresses
from egru_hw.host import commands
from egru_hw.host.connection import WORD, Connection
from egru_hw.host.line import Line
from egru_hw.host.placement import Placement
from egru_hw.host.replies import HardwareResult
from egru_hw.host.statistics import Statistics
from egru_hw.host.stream import Stream
from egru_hw.host.transport import Transport, TransportError
from golden.integer import IntegerEGRU
from golden.model_file import ModelFile
from golden.preparation import Preparation

BATCH = 1 << 14
"""About as many commands are in each batch that :meth:`Device.run` makes."""

AHEAD = 4 * BATCH
"""Commands that are sent before the replies to the first of them are awaited: far more than a line
holds, so that it never runs dry."""


@dataclass(frozen=True)
class DeviceInfo:
    """What a device is, and what it has done in this session.

    Attributes:
        identity: 32 bits that identify its configuration.
        version: of the protocol.
        config: the accelerator's sizes.
        model: the digest of the model in its bitstream; 0 if it has none, or another was loaded.
        counters: of all steps since the session began; they wrap at 32 bits.
        line: what has crossed it; None where there is none, as in a simulation.
    """

    identity: int
    version: int
    config: Config
    model: int
    counters: dict[Counter, int]
    line: Statistics | None

    @property
    def presets(self) -> list[str]:
        """Names of the presets of these sizes."""
        return [name for name, config in PRESETS.items() if config == self.config]


class Device:
    """An accelerator, of which a new session begins. A context manager that closes it.

    After a ``TransportError``, the next call begins another session, and loads the model again.

    Args:
        transport: connects the accelerator.
        config: sizes that the accelerator must have.

    Raises:
        TransportError: the accelerator does not answer, has another version of the protocol, or
            other sizes.
    """

    def __init__(self, transport: Transport, config: Config | None = None):
        self._connection = Connection(transport)
        self._placement: Placement | None = None
        with self._connection.exchange():
            words = self._connection.read(Target.IDENTITY, len(IDENTITY)) & WORD
        try:
            self.config = config_from_words(words.tolist())
        except ValueError as error:
            raise TransportError(str(error)) from None
        if config not in (None, self.config):
            raise TransportError(
                f"the accelerator was built for another configuration, {self.config.to_json()}: "
                f"use that one, or load another bitstream"
            )
        self._identity, self._version = words[:2].tolist()

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection. The accelerator keeps its model."""
        self._connection.transport.close()

    @property
    def model(self) -> IntegerEGRU:
        """The model that was loaded; ``RuntimeError`` if none was."""
        return self._placed.model

    @property
    def line(self) -> Statistics | None:
        """What has crossed the line so far; None where there is none, as in a simulation."""
        transport = self._connection.transport
        return replace(transport.statistics) if isinstance(transport, Line) else None

    def load(self, model: IntegerEGRU | ModelFile) -> None:
        """Load ``model``, unless the accelerator holds it. A file's preparation of inputs is
        kept.

        Raises:
            ValueError: it does not fit the accelerator.
            TransportError: the device does not answer.
        """
        prepare = Preparation()
        if isinstance(model, ModelFile):
            prepare = model.preparation
            model = model.twin()
        if not isinstance(model, IntegerEGRU):
            raise TypeError(
                f"model must be an IntegerEGRU, or what load_model() returns, not "
                f"{type(model).__name__}"
            )
        placement = Placement(model, self.config, prepare)
        with self._connection.exchange():
            self._load(placement)
        self._placement = placement

    def run(
        self,
        inputs: np.ndarray,
        events: bool = True,
        progress: Callable[[float], None] | None = None,
        lengths: np.ndarray | None = None,
    ) -> HardwareResult:
        """Run the model over sequences, each from rest.

        Args:
            inputs: (N, T, C): integers are raw values, real numbers are scaled and quantised.
            events: whether the accelerator reports its events. If not, less crosses the line.
            progress: called with the share of the sequences that are done.
            lengths: (N,), how many of the T steps each sequence has; all if omitted. No others
                are sent.

        Raises:
            ValueError: the model does not take such inputs, or the lengths do not fit them.
            TransportError: the device does not answer, or its replies make no sense.
        """
        raw, ends = self._placed.raw(inputs, lengths)
        count = len(raw)
        size = int(np.count_nonzero(raw) + ends.sum())
        some = max(1, count * BATCH // max(size, 1))
        parts = [slice(begin, begin + some) for begin in range(0, max(count, 1), some)]
        batches = [(raw[part], ends[part]) for part in parts]
        results: list[HardwareResult] = []
        for result in self.batches(batches, events):
            results.append(result)
            if progress:
                progress(len(results) / len(batches))
        return HardwareResult.joined(results)

    def batches(
        self, inputs: Iterable[np.ndarray | tuple[np.ndarray, np.ndarray]], events: bool = True
    ) -> Iterator[HardwareResult]:
        """As :meth:`run` for each array (N, T, C) of ``inputs``, or each pair of an array and the
        lengths (N,) of its sequences; N and T may differ.

        Each result is yielded when it has arrived, while the commands of later arrays are under
        way. So a few arrays are taken in advance.

        Raises:
            RuntimeError: the device has begun something else in between.
        """
        placement, connection = self._placed, self._connection
        sequence = object()
        read_counters = commands.read(Target.COUNTERS, 0, len(Counter))
        under_way: deque[tuple[int, np.ndarray, int]] = deque()  # commands, lengths, steps
        before = np.empty(0, np.int64)  # counters

        def result() -> HardwareResult:
            nonlocal before
            _, lengths, steps = under_way.popleft()
            expected = placement.replies(lengths)
            expected[Reply.DATA] += len(Counter)
            replies = connection.receive(expected)
            now = replies.data[-len(Counter) :]
            counters = dict(zip(Counter, ((now - before) & WORD).tolist(), strict=True))
            before = now
            found = placement.result(replies, lengths, steps, counters)
            return found if events else replace(found, events=())

        with connection.exchange():
            self._load(placement)
            self._report(events)
            connection.sequence = sequence
            before = connection.counters()
            for batch in inputs:
                raw, lengths = placement.raw(*(batch if isinstance(batch, tuple) else (batch,)))
                packets = placement.commands(raw, lengths)
                connection.send(np.append(packets, read_counters))
                under_way.append((len(packets), lengths, raw.shape[1]))
                while sum(size for size, *_ in under_way) > AHEAD:
                    yield result()
                    connection.check(sequence)
            while under_way:
                yield result()
                connection.check(sequence)

    def stream(self) -> Stream:
        """Run the model from rest, one step at a time."""
        placement = self._placed
        with self._connection.exchange():
            self._load(placement)
            self._report(True)
        return Stream(self._connection, placement)

    def info(self) -> DeviceInfo:
        """What the device is. Leaves a stream as it is."""
        with self._connection.exchange():
            counters = self._connection.counters().tolist()
            model = int(self._connection.read(Target.MODEL, 1)[0]) & WORD
        return DeviceInfo(
            self._identity,
            self._version,
            self.config,
            model,
            dict(zip(Counter, counters, strict=True)),
            self.line,
        )

    @property
    def _placed(self) -> Placement:
        if self._placement is None:
            raise RuntimeError("the device has no model yet: load() one")
        return self._placement

    def _load(self, placement: Placement) -> None:
        """See to it that the accelerator holds the model. Within an exchange."""
        connection, image = self._connection, placement.image
        if connection.image == image:
            return
        if (connection.read(Target.MODEL, 1)[0] & WORD) != image.digest:
            connection.image = connection.sequence = None
            connection.send(commands.load(image, self.config))
            connection.read(Target.MODEL, 1)  # when this is answered, all is stored
        connection.image, connection.reports_events = image, True

    def _report(self, events: bool) -> None:
        """See to it that the accelerator reports events, or not. Within an exchange."""
        connection = self._connection
        if events != connection.reports_events:
            address = register_addresses(self.config)["report_events"]
            connection.send(commands.write(Target.REGISTERS, address, int(events)))
            connection.read(Target.MODEL, 1)
            connection.reports_events = events
