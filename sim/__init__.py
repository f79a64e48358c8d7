"""Simulation of the accelerator, compared with the integer model bit by bit."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

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

try:
    __version__ = version("egru-hw")
except PackageNotFoundError:  # the folder is on the path without being installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
