"""The generated Verilog under Verilator as a transport, driven by ``harness.cpp``."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.protocol import PACKET, Reply
from egru_hw.gateware.verilog import TOP
from egru_hw.host.driver import TransportError
from golden import output
from sim.backends import Progress
from sim.backends.compiled import VERILATOR_OPTIONS, compiled
from sim.backends.verilator_install import verilator_environment
from sim.stimulus import PATIENCE, WAVES_LIMIT, Stimulus, silence

HARNESS, EXECUTABLE = "harness.cpp", "harness"
WAVES = {".vcd": "--trace-vcd", ".fst": "--trace-fst"}
"""Verilator's option by the suffix of the file of waveforms."""


class VerilatorTransport:
    """Each exchange simulates from power-up. Compiled simulations are kept in ``build``."""

    def __init__(
        self, config: Config, stimulus: Stimulus, build: Path, progress: Progress | None = None
    ):
        self.config, self.stimulus = config, stimulus
        self.build = build.absolute()
        self.progress = progress or (lambda phase, share: None)
        if stimulus.waves and stimulus.waves.suffix not in WAVES:
            raise ValueError(f"{stimulus.waves}: waveforms are written as {' or '.join(WAVES)}")

    def exchange(self, packets: np.ndarray, replies: int) -> np.ndarray:
        environment = os.environ | verilator_environment()
        flags = f"-DCODE_OFFSET={PACKET['code'].offset} -DEVENT_CODE={Reply.EVENT.value}"
        options = ["-MAKEFLAGS", "OPT_FAST=-O3", "-CFLAGS"]
        if waves := self.stimulus.waves:
            options = [WAVES[waves.suffix], *options]
        options.append(flags)

        def compile_in(folder: Path, log: Path) -> None:
            (folder / HARNESS).write_text(source)
            command = [
                "verilator",
                "--cc",
                "--exe",
                "--build",
                "--Mdir",
                ".",
                "--prefix",
                f"V{TOP}",
            ]
            command += [
                "-j",
                "0",
                "-o",
                EXECUTABLE,
                *VERILATOR_OPTIONS,
                *options,
                f"{TOP}.v",
                HARNESS,
            ]
            with log.open("w") as output:
                subprocess.run(
                    command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.STDOUT, check=True,
                )  # fmt: skip

        source = Path(__file__).with_name(HARNESS).read_text()
        key = (*options, source, shutil.which("verilator", path=environment["PATH"]))
        model = compiled(self.config, self.build, key, compile_in, self.progress)
        if waves:
            waves.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="run-", dir=self.build) as folder:
            return self._simulate(model / EXECUTABLE, Path(folder), packets, replies)

    def _simulate(
        self, harness: Path, folder: Path, packets: np.ndarray, replies: int
    ) -> np.ndarray:
        packets.astype(np.uint64).tofile(folder / "packets")
        stimulus = self.stimulus
        command: list[object] = [harness, folder / "packets", folder / "replies", replies]
        command += [stimulus.stall, stimulus.seed, PATIENCE]
        if stimulus.waves:
            command += [output.target(stimulus.waves), WAVES_LIMIT]
        self.progress("simulating", 0.0)
        line = ""
        with (
            open(folder / "errors", "w+") as errors,
            subprocess.Popen(
                [*map(str, command)], stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            assert process.stdout
            for line in process.stdout:
                if "." in line:
                    self.progress("simulating", float(line))
        if status := process.returncode:
            why = (folder / "errors").read_text().strip() or f"status {status}"
            raise TransportError(f"the simulation broke off: {why}")
        if outstanding := int(line):
            raise TransportError(silence(outstanding, replies))
        self.progress("simulating", 1.0)
        return np.fromfile(folder / "replies", np.uint64)


def transport(
    config: Config, stimulus: Stimulus, build: Path, progress: Progress | None
) -> VerilatorTransport:
    """See :mod:`sim.backends`."""
    return VerilatorTransport(config, stimulus, build, progress)
