"""The golden models: a float EGRU to train and the integer EGRU that hardware must equal.

Names are imported when first used, so that the integer side never loads torch.
"""

import sys
from importlib import import_module
from importlib.util import find_spec

_HOMES = {
    "EGRU": ("golden.network.egru", "EGRU"),
    "IntegerEGRU": ("golden.integer.model", "IntegerEGRU"),
    "Network": ("golden.network.network", "Network"),
    "QuantizeConfig": ("golden.quantization.quantize", "QuantizeConfig"),
    "QuantizedNetwork": ("golden.quantization.quantized_network", "QuantizedNetwork"),
    "load_model": ("golden.model_file", "load"),
    "quantize": ("golden.quantization.quantize", "quantize"),
    "save_model": ("golden.model_file", "save"),
}

__all__ = list(_HOMES)


# All commands of this package need PyTorch; they could only say so after importing it.
if find_spec("torch") is None and any(word.startswith("golden.") for word in sys.orig_argv[1:3]):
    sys.exit("PyTorch is missing: add it with 'make setup', or install the extra egru-hw[train]")


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
