"""Live data: a sequence that is run step by step."""

from dataclasses import dataclass

import numpy as np

from egru_hw.contract.protocol import Command, Reply, Target, pack
from egru_hw.host import commands
from egru_hw.host.connection import Connection
from egru_hw.host.placement import Placement


@dataclass(frozen=True, eq=False)
class StepResult:
    """The accelerator's results for one step.

    Attributes:
        events: per layer (H,) event values, 0 where a unit is silent.
        outputs: (K,), the read-out's sums of this step alone. ``model.logits(outputs, 1)`` are
            their real values.
    """

    events: tuple[np.ndarray, ...]
    outputs: np.ndarray


class Stream:
    """A sequence from rest, made by :meth:`egru_hw.Device.stream`.

    It ends when the device runs or loads something else, and after a ``TransportError``; methods
    raise ``RuntimeError`` from then on.
    """

    def __init__(self, connection: Connection, placement: Placement):
        self._connection, self._placement = connection, placement
        self._at_rest = True
        self._sent: np.ndarray | None = None  # by the encoder
        connection.sequence = self

    def step(self, inputs) -> StepResult:
        """Run one step, on inputs (C,): integers are raw; real numbers are prepared as the model
        file says, and quantised.

        Raises:
            ValueError: the model does not take such inputs.
            TransportError: the device does not answer.
        """
        placement, connection = self._placement, self._connection
        inputs, sent = np.asarray(inputs), self._sent
        if inputs.dtype.kind not in "iu":
            prepared, sent = placement.prepare.step(inputs, sent)
            inputs = placement.model.quantize_inputs(prepared[None, None])[0, 0]
        raw, _ = placement.raw(inputs[None, None])
        packets = commands.sequence(raw[0], reads=[1])
        if self._at_rest:
            packets = np.append(pack(Command.RESET), packets)
        with connection.exchange(self):
            connection.send(packets)
            replies = connection.receive({Reply.STEP: 1, Reply.OUTPUT: placement.model.outputs})
        self._at_rest, self._sent = False, sent
        return StepResult(placement.layers(replies.events(placement.units)[0]), replies.outputs)

    def reset(self) -> None:
        """Begin the next step from rest."""
        self._connection.check(self)
        self._at_rest, self._sent = True, None

    def state(self) -> tuple[np.ndarray, ...]:
        """Per layer (H,): the state h after the last step."""
        units = self._placement.units
        if self._at_rest:
            self._connection.check(self)
            return self._placement.layers(np.zeros(units, np.int64))
        with self._connection.exchange(self):
            return self._placement.layers(self._connection.read(Target.STATE, units))
