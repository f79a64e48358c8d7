"""The generated Verilog under Verilator and cocotb as a transport: the reference bench, in Python.

``verilator`` is about fifty times as fast and drives the accelerator in the same way.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.gateware.verilog import TOP
from egru_hw.host.driver import TransportError
from sim.backends import Progress
from sim.backends.compiled import VERILATOR_OPTIONS, compiled
from sim.backends.verilator_install import verilator_environment
from sim.stimulus import PATIENCE, Stimulus, silence

try:
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import Verilator
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the backend 'cocotb' needs cocotb: install the extra egru-hw[sim]", name=error.name
    ) from None


class CocotbTransport:
    """Each exchange simulates from power-up. Compiled simulations are kept in ``build``."""

    def __init__(
        self, config: Config, stimulus: Stimulus, build: Path, progress: Progress | None = None
    ):
        if stimulus.waves:
            raise ValueError("the backend 'cocotb' records no waveforms: use 'verilator'")
        self.config, self.stimulus = config, stimulus
        self.build = build.absolute()
        self.progress = progress or (lambda phase, share: None)

    def exchange(self, packets: np.ndarray, replies: int) -> np.ndarray:
        # cocotb's runner reads its settings from the environment of this process.
        with _environment(verilator_environment() | {"WAVES": "0", "GUI": "0"}):
            key = ("cocotb", version("cocotb"), shutil.which("verilator"))
            model = compiled(self.config, self.build, key, _compile_in, self.progress)
            with tempfile.TemporaryDirectory(prefix="run-", dir=self.build) as folder:
                return self._simulate(model, Path(folder), packets, replies)

    def _simulate(self, model: Path, folder: Path, packets: np.ndarray, replies: int) -> np.ndarray:
        np.save(folder / "packets.npy", packets)
        settings = {
            "replies": replies,
            "stall": self.stimulus.stall,
            "seed": self.stimulus.seed,
            "patience": PATIENCE,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        log = self.build / "simulation.log"
        self.progress("simulating", None)
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
                log_file=log,
            )
            tests, failures = get_results(verdict)
        except (SystemExit, RuntimeError) as error:
            broken = error
        if (folder / "outstanding").exists():
            raise TransportError(silence(int((folder / "outstanding").read_text()), replies))
        if tests != 1 or failures:
            raise TransportError(f"the simulation broke off; see {log}") from broken
        return np.load(folder / "replies.npy")


def _compile_in(folder: Path, log: Path) -> None:
    Verilator().build(
        sources=[folder / f"{TOP}.v"],
        hdl_toplevel=TOP,
        build_dir=folder,
        build_args=list(VERILATOR_OPTIONS),
        timescale=("1ns", "1ps"),
        log_file=log,
    )


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
) -> CocotbTransport:
    """See :mod:`sim.backends`."""
    return CocotbTransport(config, stimulus, build, progress)
