"""The generated Verilog under Verilator as a transport, driven by ``harness.cpp``."""

from pathlib import Path

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.protocol import PACKET, Reply
from egru_hw.gateware.verilog import emit
from egru_hw.host.transport import NoAnswer
from golden import output
from sim.backends import Progress
from sim.backends.compiled import executable
from sim.backends.harness import Harness, Request
from sim.stimulus import PATIENCE, WAVES_LIMIT, Stimulus, silence

HARNESS = Path(__file__).with_name("harness.cpp")
DEFINITIONS = {
    "CODE_OFFSET": PACKET["code"].offset,
    "EVENT_CODE": Reply.EVENT.value,
    **{request.name: request.value for request in Request},
}
WAVES = {".vcd": "--trace-vcd", ".fst": "--trace-fst"}
"""Verilator's option by the suffix of the file of waveforms."""


class VerilatorTransport:
    """One simulation from the first :meth:`reset` on, compiled then unless ``build`` holds it.

    The clock runs only within :meth:`receive`.
    """

    def __init__(
        self, config: Config, stimulus: Stimulus, build: Path, progress: Progress | None = None
    ):
        self.config, self.stimulus = config, stimulus
        self.build = build.absolute()
        self.progress = progress or (lambda phase, share: None)
        if stimulus.waves and stimulus.waves.suffix not in WAVES:
            raise ValueError(f"{stimulus.waves}: waveforms are written as {' or '.join(WAVES)}")
        self._harness: Harness | None = None

    def reset(self) -> None:
        if not self._harness:
            self._harness = self._start()
        self._harness.request(Request.RESET, 0)

    def send(self, packets: np.ndarray) -> None:
        self._running.request(Request.SEND, len(packets), packets)

    def receive(self, count: int) -> np.ndarray:
        self._running.request(Request.RECEIVE, count)
        outstanding, replies = self._running.answer(2).tolist()
        received = self._running.answer(replies)
        if outstanding:
            raise NoAnswer(silence(outstanding, count))
        return received

    def close(self) -> None:
        if self._harness:
            self._harness.close()
            self._harness = None

    @property
    def _running(self) -> Harness:
        assert self._harness, "reset() begins a session"
        return self._harness

    def _start(self) -> Harness:
        waves = self.stimulus.waves
        program = executable(
            lambda: emit(self.config),
            (self.config.to_json(),),
            self.build,
            HARNESS,
            DEFINITIONS,
            self.progress,
            (WAVES[waves.suffix],) if waves else (),
        )
        command: list[object] = [program, self.stimulus.stall, self.stimulus.seed, PATIENCE]
        if waves:
            waves.parent.mkdir(parents=True, exist_ok=True)
            command += [output.target(waves), WAVES_LIMIT]
        self.progress("simulating", None)
        return Harness([*map(str, command)])


def transport(
    config: Config, stimulus: Stimulus, build: Path, progress: Progress | None
) -> VerilatorTransport:
    """See :mod:`sim.backends`."""
    return VerilatorTransport(config, stimulus, build, progress)
