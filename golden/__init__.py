"""The EGRU: a float network to train, and the integer model that hardware must match.

Names are imported when they are first used, so that the integer model never loads PyTorch.
"""

from typing import TYPE_CHECKING

from golden import lazy

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

_HOMES = {
    "EGRU": "golden.cells.event_gru",
    "IntegerEGRU": "golden.integer",
    "ModelFile": "golden.model_file",
    "Network": "golden.network.network",
    "Prediction": "golden.prediction",
    "QuantizeConfig": "golden.quantization.quantize",
    "QuantizedNetwork": "golden.quantization.quantized_network",
    "WordNetwork": "golden.network.word_network",
    "load_model": "golden.model_file:load",
    "quantize": "golden.quantization.quantize",
    "save_model": "golden.model_file:save",
}

__version__ = lazy.VERSION
__getattr__, __dir__ = lazy.exports(__name__, [*__all__, "__version__"], _HOMES)
