"""The generated Verilog under Verilator and cocotb as a transport: the reference bench, in Python.

``verilator`` is about fifty times as fast and drives the accelerator in the same way.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from multiprocessing import Pipe
from pathlib import Path
from typing import NoReturn

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.gateware.verilog import emit
from egru_hw.host.transport import NoAnswer, TransportError
from sim.backends import Progress
from sim.backends.compiled import compiled
from sim.backends.verilator_install import verilator_environment
from sim.stimulus import PATIENCE, Stimulus, silence

try:
    import cocotb_tools.runner  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the backend 'cocotb' needs cocotb: install the extra egru-hw[sim]", name=error.name
    ) from None

EXIT_TIME = 10  # seconds for the simulation to end


class CocotbTransport:
    """One simulation from the first :meth:`reset` on, compiled then unless ``build`` holds it.

    The clock runs only within :meth:`receive`. ``simulator`` is one that cocotb knows.
    """

    def __init__(
        self,
        config: Config,
        stimulus: Stimulus,
        build: Path,
        progress: Progress | None = None,
        simulator: str = "verilator",
    ):
        if stimulus.waves:
            raise ValueError("the backend 'cocotb' records no waveforms: use 'verilator'")
        self.config, self.stimulus = config, stimulus
        self.build = build.absolute()
        self.progress = progress or (lambda phase, share: None)
        self.simulator = simulator
        self._bench: _Bench | None = None

    def reset(self) -> None:
        if not self._bench:
            self._bench = self._start()
        self._bench.request("reset", None)

    def send(self, packets: np.ndarray) -> None:
        self._running.request("send", packets)

    def receive(self, count: int) -> np.ndarray:
        self._running.request("receive", count)
        outstanding, replies = self._running.answer()
        if outstanding:
            raise NoAnswer(silence(outstanding, count))
        return replies

    def close(self) -> None:
        if self._bench:
            self._bench.close()
            self._bench = None

    @property
    def _running(self) -> "_Bench":
        assert self._bench, "reset() begins a session"
        return self._bench

    def _start(self) -> "_Bench":
        environment = os.environ | verilator_environment() | {"WAVES": "0", "GUI": "0"}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        job = [sys.executable, "-m", "sim.backends.cocotb_job"]

        def compile_in(folder: Path, log: Path) -> None:
            command = [*job, "build", self.simulator, str(folder), str(folder), str(log)]
            subprocess.run(command, env=environment, capture_output=True, check=True)

        place = shutil.which(self.simulator, path=environment["PATH"])
        key = (self.config.to_json(), "cocotb", version("cocotb"), self.simulator, place)
        model = compiled(lambda: emit(self.config), key, self.build, compile_in, self.progress)
        settings = {
            "stall": self.stimulus.stall,
            "seed": self.stimulus.seed,
            "patience": PATIENCE,
        }
        self.progress("simulating", None)
        command = [*job, "test", self.simulator, str(model)]
        return _Bench(command, environment, settings, self.build)


class _Bench:
    """A running ``cocotb_bench``. It ends with this process, however this one ends."""

    def __init__(
        self, command: list[str], environment: dict[str, str], settings: dict, build: Path
    ):
        self._folder = tempfile.TemporaryDirectory(prefix="run-", dir=build)
        self._log = build / "simulation.log"
        Path(self._folder.name, "settings.json").write_text(json.dumps(settings))
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [*command, self._folder.name, str(self._log)],
                env=environment,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def request(self, name: str, argument: np.ndarray | int | None) -> None:
        try:
            self._connection.send((name, argument))
        except (BrokenPipeError, ConnectionResetError):
            self._break_off()

    def answer(self) -> tuple[int, np.ndarray]:
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._break_off()

    def close(self) -> None:
        self._connection.close()
        try:
            self._process.wait(EXIT_TIME)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _break_off(self) -> NoReturn:
        raise TransportError(f"the simulation broke off: see {self._log}") from None


def transport(
    config: Config, stimulus: Stimulus, build: Path, progress: Progress | None
) -> CocotbTransport:
    """See :mod:`sim.backends`."""
    return CocotbTransport(config, stimulus, build, progress)
