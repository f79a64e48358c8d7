"""Simulators, one module each, imported when chosen.

A module defines ``transport(config, stimulus, build, progress)``, which returns an
:class:`egru_hw.host.transport.Transport`.
"""

from collections.abc import Callable

BACKENDS = {
    "verilator": "sim.backends.verilator",
    "cocotb": "sim.backends.cocotb_runner",
    "amaranth": "sim.backends.amaranth_simulator",
}

Progress = Callable[[str, float | None], None]
"""Called with the current step, and the share of it that is done, or None if unknown."""
