"""What place and route reports, as numbers."""

import json

import pytest

from boards.ecp5.utilization import Use, Utilization, overfull, uses
from tests.helpers.fpga_tools import FITTING, OVERFULL, REPORT


def test_report_names_clock_and_resources():
    report = Utilization.parse(json.dumps(REPORT), 80)
    assert (report.achieved, report.demanded) == (83.2, 80)
    assert report.resources == {
        "LUTs": Use(11732, 24288),
        "flip-flops": Use(4523, 24288),
        "block RAMs": Use(45, 56),
        "multipliers": Use(28, 28),
    }


def test_report_without_the_demanded_clock_rejected():
    with pytest.raises(ValueError, match="no clock of 90 MHz"):
        Utilization.parse(json.dumps(REPORT), 90)


def test_log_names_what_a_design_uses():
    assert uses(FITTING) == {
        "TRELLIS_IO": Use(10, 197),
        "block RAMs": Use(45, 56),
        "multipliers": Use(28, 28),
        "LUTs": Use(11732, 24288),
    }


def test_log_of_a_design_that_fits_names_no_overfull_resource():
    assert overfull(FITTING) == {}


def test_log_of_a_design_that_does_not_fit_names_what_is_overfull():
    assert overfull(OVERFULL) == {"block RAMs": Use(70, 56), "LUTs": Use(30000, 24288)}
