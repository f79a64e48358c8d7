"""Amaranth's own simulator as a transport: nothing to compile, but slow."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from amaranth.sim import Simulator

from egru_hw.contract.config import Config
from egru_hw.contract.image import Image
from egru_hw.contract.protocol import PACKET, Reply
from egru_hw.gateware.accelerator import Accelerator
from egru_hw.gateware.weight_store import OnChipWeightStore, WeightStore
from egru_hw.host.driver import TransportError
from sim.backends import Progress
from sim.stimulus import PATIENCE, Stimulus, silence


class AmaranthTransport:
    """Each exchange simulates ``Accelerator(config, image, store)`` from power-up. For small
    configurations."""

    def __init__(
        self,
        config: Config,
        stimulus: Stimulus,
        image: Image | None = None,
        store: Callable[..., WeightStore] = OnChipWeightStore,
    ):
        self.config, self.stimulus, self.image, self.store = config, stimulus, image, store

    def exchange(self, packets: np.ndarray, replies: int) -> np.ndarray:
        accelerator = Accelerator(self.config, self.image, self.store)
        rng = np.random.default_rng(self.stimulus.seed)
        stall = self.stimulus.stall
        received: list[int] = []
        outstanding = replies

        async def send(ctx):
            for packet in packets.tolist():
                while stall and rng.random() < stall:
                    await ctx.tick()
                ctx.set(accelerator.i.valid, 1)
                ctx.set(accelerator.i.payload, PACKET.from_bits(packet))
                await ctx.tick().until(accelerator.i.ready)
                ctx.set(accelerator.i.valid, 0)

        async def receive(ctx):
            nonlocal outstanding
            idle = 0
            while outstanding and idle < PATIENCE:
                ready = not (stall and rng.random() < stall)
                ctx.set(accelerator.o.ready, ready)
                _, _, valid, packet = await ctx.tick().sample(
                    accelerator.o.valid, accelerator.o.payload
                )
                idle += 1
                if valid and ready:
                    idle = 0
                    received.append(packet.as_bits())
                    outstanding -= packet.code != Reply.EVENT

        simulator = Simulator(accelerator)
        simulator.add_clock(1e-6)
        simulator.add_testbench(send, background=True)
        simulator.add_testbench(receive)
        waves = self.stimulus.waves
        with simulator.write_vcd(str(waves)) if waves else contextlib.nullcontext():
            simulator.run()
        if outstanding:
            raise TransportError(silence(outstanding, replies))
        return np.array(received, np.uint64)


def transport(
    config: Config, stimulus: Stimulus, build: Path, progress: Progress | None
) -> AmaranthTransport:
    """See :mod:`sim.backends`; nothing is built."""
    return AmaranthTransport(config, stimulus)
