"""Training: from a task and a recipe to a model file.

Names are imported when first used, so that ``import golden.training`` does not load torch.
"""

from typing import TYPE_CHECKING

from golden import lazy

if TYPE_CHECKING:
    from golden.training.adopting import adopt as adopt
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
    "CheckpointError": "golden.training.checkpoint",
    "Epoch": "golden.training.history",
    "Files": "golden.training.checkpoint",
    "Interrupted": "golden.training.errors",
    "OutOfMemory": "golden.training.errors",
    "adopt": "golden.training.adopting",
    "build": "golden.training.building",
    "calibration": "golden.training.outcome",
    "train": "golden.training.loop",
    "tune": "golden.training.tuning",
}

__all__ = list(_HOMES)

__getattr__, __dir__ = lazy.exports(__name__, __all__, _HOMES)
