"""Simulation of the accelerator, compared with the integer model bit by bit."""

from typing import TYPE_CHECKING

from golden import lazy

if TYPE_CHECKING:
    from sim.comparison import Comparison, Difference, compare
    from sim.simulation import Simulation, run

__all__ = ["Comparison", "Difference", "Simulation", "compare", "run"]

_HOMES = {
    "Comparison": "sim.comparison",
    "Difference": "sim.comparison",
    "Simulation": "sim.simulation",
    "compare": "sim.comparison",
    "run": "sim.simulation",
}

__version__ = lazy.VERSION
__getattr__, __dir__ = lazy.exports(__name__, [*__all__, "__version__"], _HOMES)
