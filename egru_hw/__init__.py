"""An accelerator for event-based GRUs in Amaranth, and its host driver.

Names are imported when they are first used, so that a host needs no hardware description.
"""

from typing import TYPE_CHECKING

from golden import lazy

if TYPE_CHECKING:
    from egru_hw.contract.config import PRESETS, Config, preset
    from egru_hw.contract.image import Image, build_image
    from egru_hw.gateware.accelerator import Accelerator
    from egru_hw.gateware.weight_store import WeightStore
    from egru_hw.host.driver import HardwareResult, run
    from egru_hw.host.transport import Transport, TransportError

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
    "Transport": "egru_hw.host.transport",
    "TransportError": "egru_hw.host.transport",
    "WeightStore": "egru_hw.gateware.weight_store",
    "build_image": "egru_hw.contract.image",
    "preset": "egru_hw.contract.config",
    "run": "egru_hw.host.driver",
}

__version__ = lazy.VERSION
__getattr__, __dir__ = lazy.exports(__name__, [*__all__, "__version__"], _HOMES)
