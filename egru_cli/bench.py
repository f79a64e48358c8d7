"""``egru bench``: the speed of the training core."""

from experiments.training_speed import main

__all__ = ["main"]
