"""Delayed copy: a bit pattern to be stored and repeated."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from golden.recipe import Recipe
from golden.tasks.base import Split, Task


@dataclass(frozen=True)
class DelayCopy(Task):
    """Bits are presented one per step; after a delay they are to be output in the same order.

    Input 0 is 1 for a 0 bit, input 1 for a 1 bit, and input 2 during recall. A quarter of all
    patterns is the test set, so that none of them is trained on.

    Attributes:
        bits: length of a pattern.
        delay: steps without input before recall.
    """

    bits: int = 14
    delay: int = 10

    def __post_init__(self) -> None:
        for name, least, most in (("bits", 2, 16), ("delay", 0, 1000)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(
                    f"the option {name} of {self.name} must be from {least} to {most}, "
                    f"not {getattr(self, name)}"
                )

    name = "delay-copy"
    readout = "steps"
    input_size = 3
    classes = 2
    recipe = Recipe(
        epochs=40,
        batch_size=16,
        activity_price=0.0,
        surrogate_width=0.3,
        threshold_mean=0.01,
        update_bias=2.0,
    )
    cell_recipes: ClassVar = {"lstm": replace(recipe, forget_bias=2.0)}

    def everything(self) -> Split:
        patterns = self._patterns()
        return self._sequences(patterns[len(patterns) // 4 :])

    def test(self) -> Split:
        patterns = self._patterns()
        return self._sequences(patterns[: len(patterns) // 4])

    def _patterns(self) -> np.ndarray:
        numbers = np.random.default_rng(0).permutation(1 << self.bits)
        return numbers[:, None] >> np.arange(self.bits) & 1

    def _sequences(self, patterns: np.ndarray) -> Split:
        shown, recall = slice(0, self.bits), slice(-self.bits, None)
        steps = self.bits + self.delay + self.bits
        inputs = np.zeros((len(patterns), steps, 3), np.float32)
        inputs[:, shown, :2] = patterns[..., None] == [0, 1]
        inputs[:, recall, 2] = 1
        targets = np.full((len(patterns), steps), -1)
        targets[:, recall] = patterns
        return Split(inputs, targets)
