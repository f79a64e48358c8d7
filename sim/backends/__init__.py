"""Simulators, one module for each, which is imported when it is chosen.

A module defines ``transport(config, stimulus, build, progress)``, which returns an
:class:`egru_hw.host.driver.Transport`.
"""

from collections.abc import Callable

BACKENDS = {
    "verilator": "sim.backends.verilator",
    "amaranth": "sim.backends.amaranth_simulator",
}

Progress = Callable[[str, float | None], None]
"""Called with what happens now, and the share of it that is done where that is known."""
