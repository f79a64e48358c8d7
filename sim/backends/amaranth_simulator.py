"""Amaranth's own simulator as a transport: nothing to compile, but slow."""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from egru_hw.contract.config import Config
from egru_hw.contract.image import Image
from egru_hw.contract.protocol import PACKET, Reply
from egru_hw.gateware.accelerator import Accelerator
from egru_hw.gateware.weight_store import OnChipWeightStore, WeightStore
from egru_hw.host.transport import NoAnswer
from sim.backends import Progress
from sim.stimulus import PATIENCE, Stimulus, silence


class AmaranthTransport:
    """A simulation of ``Accelerator(config, image, store)``, for small configurations.

    The clock runs only within :meth:`receive`.
    """

    def __init__(
        self,
        config: Config,
        stimulus: Stimulus,
        image: Image | None = None,
        store: Callable[..., WeightStore] = OnChipWeightStore,
    ):
        self._accelerator = Accelerator(config, image, store)
        self._domain = ClockDomain("sync")
        self._stall, self._rng = stimulus.stall, np.random.default_rng(stimulus.seed)
        self._resetting = False
        self._packets: deque[int] = deque()
        self._replies: list[int] = []
        self._outstanding = self._idle = 0

        top = Module()
        top.domains += self._domain
        top.submodules.accelerator = self._accelerator
        self._simulator = Simulator(top)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._play, background=True)
        self._recording = ExitStack()
        if stimulus.waves:
            self._recording.enter_context(self._simulator.write_vcd(str(stimulus.waves)))

    def reset(self) -> None:
        self._packets.clear()
        self._resetting = True

    def send(self, packets: np.ndarray) -> None:
        self._packets.extend(packets.tolist())

    def receive(self, count: int) -> np.ndarray:
        self._replies, self._outstanding, self._idle = [], count, 0
        while self._outstanding and self._idle < PATIENCE:
            self._simulator.advance()
        if self._outstanding:
            raise NoAnswer(silence(self._outstanding, count))
        return np.array(self._replies, np.uint64)

    def close(self) -> None:
        self._recording.close()

    async def _play(self, ctx) -> None:
        """Drive both streams at the falling edge, where the next transfers are already known."""
        i, o = self._accelerator.i, self._accelerator.o
        offering = taking = False
        while True:
            await ctx.negedge(self._domain.clk)
            self._idle += 1
            ctx.set(self._domain.rst, self._resetting)
            if self._resetting:
                offering = taking = self._resetting = False
            else:
                offering = offering or (bool(self._packets) and not self._stalls())
                taking = not self._stalls()
            ctx.set(i.valid, offering)
            ctx.set(o.ready, taking)
            if offering:
                ctx.set(i.payload, PACKET.from_bits(self._packets[0]))
                if ctx.get(i.ready):
                    self._packets.popleft()
                    offering, self._idle = False, 0
            if taking and ctx.get(o.valid):
                packet = ctx.get(o.payload)
                self._replies.append(packet.as_bits())
                self._outstanding -= packet.code != Reply.EVENT
                self._idle = 0

    def _stalls(self) -> bool:
        return bool(self._stall) and self._rng.random() < self._stall


def transport(
    config: Config, stimulus: Stimulus, build: Path, progress: Progress | None
) -> AmaranthTransport:
    """See :mod:`sim.backends`; nothing is built."""
    return AmaranthTransport(config, stimulus)
