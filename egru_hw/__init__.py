"""An accelerator for event-based GRUs in Amaranth, and the host's side of it.

Names are imported when they are first used, so that a host needs no hardware description.
"""

from typing import TYPE_CHECKING

from golden import lazy

if TYPE_CHECKING:
    from egru_hw.contract.config import PRESETS, Config, preset
    from egru_hw.contract.image import Image, build_image
    from egru_hw.gateware.accelerator import Accelerator
    from egru_hw.gateware.weight_store import WeightStore
    from egru_hw.host.device import Device, DeviceInfo
    from egru_hw.host.replies import HardwareResult
    from egru_hw.host.serial_port import connect
    from egru_hw.host.stream import StepResult, Stream
    from egru_hw.host.transport import Transport, TransportError

__all__ = [
    "PRESETS",
    "Accelerator",
    "Config",
    "Device",
    "DeviceInfo",
    "HardwareResult",
    "Image",
    "StepResult",
    "Stream",
    "Transport",
    "TransportError",
    "WeightStore",
    "build_image",
    "connect",
    "preset",
]

_HOMES = {
    "PRESETS": "egru_hw.contract.config",
    "Accelerator": "egru_hw.gateware.accelerator",
    "Config": "egru_hw.contract.config",
    "Device": "egru_hw.host.device",
    "DeviceInfo": "egru_hw.host.device",
    "HardwareResult": "egru_hw.host.replies",
    "Image": "egru_hw.contract.image",
    "StepResult": "egru_hw.host.stream",
    "Stream": "egru_hw.host.stream",
    "Transport": "egru_hw.host.transport",
    "TransportError": "egru_hw.host.transport",
    "WeightStore": "egru_hw.gateware.weight_store",
    "build_image": "egru_hw.contract.image",
    "connect": "egru_hw.host.serial_port",
    "preset": "egru_hw.contract.config",
}

__version__ = lazy.VERSION
__getattr__, __dir__ = lazy.exports(__name__, [*__all__, "__version__"], _HOMES)
