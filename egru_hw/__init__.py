"""An accelerator for event-based GRUs in Amaranth, and its host driver.

Names are imported when they are first used, so that a host needs no hardware description.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egru_hw.contract.config import PRESETS, Config, preset
    from egru_hw.contract.image import Image, build_image
    from egru_hw.gateware.accelerator import Accelerator
    from egru_hw.gateware.weight_store import WeightStore
    from egru_hw.host.driver import HardwareResult, Transport, TransportError, run

__all__ = [
    "PRESETS",
    "Accelerator",
    "Config",
    "HardwareResult",
    "Image",
    "Transport",
    "TransportError",
    "WeightStore",
    "build_image",
    "preset",
    "run",
]

_HOMES = {
    "PRESETS": "egru_hw.contract.config",
    "Accelerator": "egru_hw.gateware.accelerator",
    "Config": "egru_hw.contract.config",
    "HardwareResult": "egru_hw.host.driver",
    "Image": "egru_hw.contract.image",
    "Transport": "egru_hw.host.driver",
    "TransportError": "egru_hw.host.driver",
    "WeightStore": "egru_hw.gateware.weight_store",
    "build_image": "egru_hw.contract.image",
    "preset": "egru_hw.contract.config",
    "run": "egru_hw.host.driver",
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
