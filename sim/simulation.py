"""Simulation as a library function, for tests, ``egru sim`` and other tools."""

import time
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np

from egru_hw.contract.config import Config, preset
from egru_hw.contract.protocol import Counter
from egru_hw.host.device import Device
from egru_hw.host.replies import HardwareResult
from golden import output
from golden.integer import IntegerEGRU, IntegerResult
from sim.backends import BACKENDS, Progress
from sim.comparison import Comparison, compare
from sim.stimulus import Stimulus

DEFAULT_PRESET = "ulx3s-85f"
BUILD = Path("build/sim")


@dataclass(frozen=True, eq=False)
class Simulation:
    """Result of a simulation of N sequences of T steps.

    Attributes:
        golden: the integer model's result.
        hardware: the accelerator's result.
        comparison: comparison of the two.
        model: the model that ran.
        config: sizes of the accelerator.
        bound: lower bound on the cycles without overlap, see :func:`bound`.
        seconds: wall time of the simulation, including its build.
    """

    golden: IntegerResult
    hardware: HardwareResult
    comparison: Comparison
    model: IntegerEGRU
    config: Config
    bound: int
    seconds: float

    @property
    def cycles(self) -> int:
        return self.hardware.counters[Counter.CYCLES]


def run(
    model: IntegerEGRU,
    inputs: np.ndarray,
    *,
    lengths: np.ndarray | None = None,
    backend: Literal["verilator", "cocotb", "amaranth"] = "verilator",
    waves: Path | str | None = None,
    stall: float = 0.0,
    seed: int = 0,
    config: Config | str = DEFAULT_PRESET,
    build: Path | str = BUILD,
    progress: Progress | None = None,
) -> Simulation:
    """Simulate ``model`` over ``inputs`` and compare with the integer model.

    Args:
        model: model to run; it is loaded over the host's stream.
        inputs: (N, T, C): integers are raw values, real numbers are quantised.
        lengths: (N,), how many of the T steps each sequence has; all if omitted.
        backend: a name in :data:`sim.backends.BACKENDS`: the generated Verilog under Verilator,
            driven by C++ or by cocotb, or Amaranth's simulator.
        waves: file of waveforms to record, see :class:`sim.stimulus.Stimulus`.
        stall: probability of back-pressure on each stream and cycle.
        seed: seed of the stalls.
        config: sizes of the accelerator, or the name of a preset.
        build: folder for compiled simulations.
        progress: see :data:`sim.backends.Progress`.

    Raises:
        ValueError: the model does not fit the configuration, or the inputs the model; there is no
            such backend or preset; ``waves`` cannot be written.
        ModuleNotFoundError: the backend is not installed.
        ToolError: a program that Verilator needs is missing.
        TransportError: the simulation could not be built, or failed.
    """
    if not isinstance(model, IntegerEGRU):
        raise TypeError(
            f"model must be an IntegerEGRU, such as ModelFile.twin(), not {type(model).__name__}"
        )
    if waves:
        output.check(waves)
    config = preset(config) if isinstance(config, str) else config
    inputs = np.asarray(inputs)
    if not inputs.size:
        raise ValueError(f"inputs of shape {inputs.shape} hold no sequences")
    raw = inputs if inputs.dtype.kind in "iu" else model.quantize_inputs(inputs, lengths)
    stimulus = Stimulus(stall=stall, seed=seed, waves=Path(waves) if waves else None)
    if backend not in BACKENDS:
        names = " or ".join(map(repr, BACKENDS))
        raise ValueError(f"backend must be {names}, not {backend!r}")
    transport = import_module(BACKENDS[backend]).transport(config, stimulus, Path(build), progress)
    golden = model.run(raw, lengths=lengths)
    begin = time.monotonic()
    with closing(transport):
        device = Device(transport, config)
        device.load(model)
        hardware = device.run(raw, lengths=lengths)
    seconds = time.monotonic() - begin
    return Simulation(
        golden=golden,
        hardware=hardware,
        comparison=compare(golden, hardware),
        model=model,
        config=config,
        bound=bound(golden, config),
        seconds=seconds,
    )


def bound(result: IntegerResult, config: Config) -> int:
    """Cycles that the work of ``result`` takes at least if nothing overlaps.

    Per layer and step ``(input events + recurrent events) * ceil(3H / lanes)`` for the lanes
    and ``ceil(H / units_per_cycle)`` for the unit update.
    """
    cycles = 0
    for events, inputs, recurrent in zip(
        result.events, result.input_events, result.recurrent_events, strict=True
    ):
        units = events.shape[2]
        rows = int(inputs.sum() + recurrent.sum()) * config.pitch(units)
        cycles += rows + int(result.lengths.sum()) * config.layer_groups(units)
    return cycles
