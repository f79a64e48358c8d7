"""The driver refuses what the integer model refuses, before anything is sent."""

import numpy as np
import pytest

from egru_hw.contract.config import preset
from egru_hw.host import driver
from tests.helpers.models import random_model
from tests.helpers.streams import generator


class Unreachable:
    def reset(self):
        raise AssertionError("something was sent")


@pytest.mark.parametrize(
    ("raw_inputs", "words"),
    [
        (np.full((1, 2, 3), 300), r"raw_inputs must lie in -256 \.\.\. 255, not 300"),
        (np.zeros((1, 2, 3)), "raw_inputs must be a NxTxC array of integers, not float64"),
        (np.zeros((1, 2, 4), int), r"raw_inputs must have the shape \(1, 2, 3\)"),
        (np.zeros((2, 3), int), "raw_inputs must be a NxTxC array"),
        (np.zeros((1, 0, 3), int), "at least one step"),
        (np.full((1, 2, 3), 2**64 - 1, np.uint64), "signed 64-bit integers"),
    ],
)
def test_inputs_that_the_integer_model_refuses_are_refused(raw_inputs, words):
    model = random_model(generator(1), 3, (5,), 2)
    for run in (
        model.run,
        lambda raw: driver.run(Unreachable(), preset("tiny"), model, raw),
    ):
        with pytest.raises(ValueError, match=words):
            run(raw_inputs)
