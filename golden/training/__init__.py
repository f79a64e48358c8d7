"""Training: from a task and a recipe to a model file.

Names are imported when first used, so that ``import golden.training`` does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from golden.training.building import build as build
    from golden.training.checkpoint import CheckpointError as CheckpointError
    from golden.training.checkpoint import Files as Files
    from golden.training.errors import Interrupted as Interrupted
    from golden.training.errors import OutOfMemory as OutOfMemory
    from golden.training.history import Epoch as Epoch
    from golden.training.loop import train as train
    from golden.training.outcome import calibration as calibration
    from golden.training.tuning import tune as tune

_HOMES = {
    "CheckpointError": "checkpoint",
    "Epoch": "history",
    "Files": "checkpoint",
    "Interrupted": "errors",
    "OutOfMemory": "errors",
    "build": "building",
    "calibration": "outcome",
    "train": "loop",
    "tune": "tuning",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"golden.training.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
