"""The EGRU: a float network to train, and the integer model that hardware must equal.

Names are imported when they are first used, so that the integer model never loads PyTorch.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from golden.cells.event_gru import EGRU
    from golden.integer import IntegerEGRU
    from golden.model_file import ModelFile
    from golden.model_file import load as load_model
    from golden.model_file import save as save_model
    from golden.network.network import Network
    from golden.network.word_network import WordNetwork
    from golden.prediction import Prediction
    from golden.quantization.quantize import QuantizeConfig, quantize
    from golden.quantization.quantized_network import QuantizedNetwork

_HOMES = {
    "EGRU": ("golden.cells.event_gru", "EGRU"),
    "IntegerEGRU": ("golden.integer", "IntegerEGRU"),
    "ModelFile": ("golden.model_file", "ModelFile"),
    "Network": ("golden.network.network", "Network"),
    "Prediction": ("golden.prediction", "Prediction"),
    "QuantizeConfig": ("golden.quantization.quantize", "QuantizeConfig"),
    "QuantizedNetwork": ("golden.quantization.quantized_network", "QuantizedNetwork"),
    "WordNetwork": ("golden.network.word_network", "WordNetwork"),
    "load_model": ("golden.model_file", "load"),
    "quantize": ("golden.quantization.quantize", "quantize"),
    "save_model": ("golden.model_file", "save"),
}

__all__ = [
    "EGRU",
    "IntegerEGRU",
    "ModelFile",
    "Network",
    "Prediction",
    "QuantizeConfig",
    "QuantizedNetwork",
    "WordNetwork",
    "load_model",
    "quantize",
    "save_model",
]

try:
    __version__ = version("egru-hw")
except PackageNotFoundError:  # the folder is on the path without being installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            f"golden.{name} needs PyTorch: install the extra egru-hw[train]"
        ) from None


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
