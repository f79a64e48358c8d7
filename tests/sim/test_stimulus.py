"""How the streams are driven."""

import pytest

from sim.stimulus import Stimulus


@pytest.mark.parametrize("stall", [-0.1, 1.0, float("nan")])
def test_stall_that_is_no_probability_rejected(stall):
    with pytest.raises(ValueError, match="stall must be a probability"):
        Stimulus(stall=stall)
