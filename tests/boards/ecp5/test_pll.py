"""The PLL's settings, against worked examples and the limits of the data sheet."""

import pytest

from boards.ecp5.pll import (
    OSCILLATOR_MAX,
    OSCILLATOR_MIN,
    PHASE_DETECTOR_MIN,
    Dividers,
    dividers,
)


def test_dividers_of_the_default_clock_are_those_worked_out_by_hand():
    # 25 / 5 = 5 MHz at the phase detector, times 16 = 80 MHz, times 8 = 640 MHz inside.
    assert dividers(25, 80) == Dividers(reference=5, feedback=16, post=8)


@pytest.mark.parametrize("output", [12.5, 25, 50, 62.5, 75, 80, 83.3333, 100, 125, 143.75, 400])
def test_dividers_make_the_clock_within_the_plls_limits(output):
    found = dividers(25, output)
    made = found.output(25)
    assert made == pytest.approx(output, rel=1e-3)
    assert 25 / found.reference >= PHASE_DETECTOR_MIN
    assert OSCILLATOR_MIN <= made * found.post <= OSCILLATOR_MAX


@pytest.mark.parametrize("output", [1, 77, 900])
def test_clock_that_the_pll_cannot_make_rejected(output):
    with pytest.raises(ValueError, match=rf"cannot make {output} MHz from 25 MHz; the nearest"):
        dividers(25, output)
