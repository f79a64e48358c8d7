"""Training by several processes, which ``torchrun`` starts."""

import os


def processes() -> int:
    """The number of processes that share this training."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first() -> bool:
    """Whether this is the only process of a training, or the first of several."""
    return int(os.environ.get("RANK", 0)) == 0
