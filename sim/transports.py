"""Simulators as transports of the host driver: packets in, replies out."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.sim import Simulator

from egru_hw.accelerator import Accelerator
from egru_hw.config import Config
from egru_hw.host import TransportError
from egru_hw.protocol import PACKET, Reply, unpack
from egru_hw.verilog import TOP, emit
from sim.tools import verilator_environment

PATIENCE = 100_000
"""Cycles without a handshake on either stream after which a simulation is given up."""


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """How the streams of the accelerator are driven.

    Args:
        stall: probability, each cycle, that the host holds back a command, and, drawn
            apart, that it does not take a reply. In [0, 1).
        seed: of those draws.
        waves: a VCD file to record, if any.
    """

    stall: float = 0.0
    seed: int = 0
    waves: Path | None = None

    def __post_init__(self):
        if not 0 <= self.stall < 1:
            raise ValueError(f"stall must be a probability in [0, 1), not {self.stall!r}")


class AmaranthTransport:
    """Amaranth's own simulator: no compiler needed, but slow. For small configurations."""

    def __init__(self, config: Config, stimulus: Stimulus):
        self.config, self.stimulus = config, stimulus

    def exchange(self, packets: np.ndarray, replies: int) -> np.ndarray:
        accelerator = Accelerator(self.config)
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
                ready = not stall or rng.random() >= stall
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
        if self.stimulus.waves:
            with simulator.write_vcd(str(self.stimulus.waves)):
                simulator.run()
        else:
            simulator.run()
        if outstanding:
            raise TransportError(_silence(outstanding, replies))
        return np.array(received, np.uint64)


class VerilatorTransport:
    """The emitted Verilog under Verilator and cocotb.

    Models are built once for each Verilog text and tool, in ``build``.
    """

    def __init__(self, config: Config, stimulus: Stimulus, build: Path):
        self.config, self.stimulus, self.build = config, stimulus, build

    def exchange(self, packets: np.ndarray, replies: int) -> np.ndarray:
        os.environ.update(verilator_environment())
        from cocotb_tools.check_results import get_results
        from cocotb_tools.runner import get_runner

        runner = get_runner("verilator")
        model = self._build(runner)
        with tempfile.TemporaryDirectory(prefix="egru-", dir=self.build) as folder:
            work = Path(folder)
            np.save(work / "packets.npy", packets)
            results = runner.test(
                hdl_toplevel=TOP,
                test_module="sim.bench",
                build_dir=model,
                test_dir=work,
                results_xml=str(work / "results.xml"),
                waves=self.stimulus.waves is not None,
                extra_env={
                    "EGRU_REPLIES": str(replies),
                    "EGRU_STALL": repr(self.stimulus.stall),
                    "EGRU_SEED": str(self.stimulus.seed),
                    "EGRU_PATIENCE": str(PATIENCE),
                },
                log_file=work / "simulation.log",
            )
            tests, failures = get_results(results)
            print(tests, failures)
            return np.load(work / "replies.npy")
