"""The top level: clock and pins, from a board that is data."""

import re

import numpy as np
import pytest
from amaranth_boards import icepi_zero

from boards.board import Board, Variant
from boards.ecp5.top import Top, check_clock
from boards.ulx3s import BOARD
from egru_hw.contract.config import preset
from egru_hw.contract.image import Image, build_image
from sim.random_models import random_model


def test_clock_that_the_serial_port_cannot_divide_rejected():
    with pytest.raises(ValueError, match=r"no 2e\+06 baud from a clock of 12\.5"):
        check_clock(BOARD, 12.5)


@pytest.fixture(scope="module")
def plan():
    config = preset("tiny")
    model = random_model(np.random.default_rng(1), 4, (8,), 2)
    top = Top(BOARD, config, build_image(model, config), 80)
    return BOARD.variant("12F").platform().prepare(top, "top")


@pytest.mark.parametrize(
    ("port", "pin"),
    [("clk25", "G2"), ("uart_0__rx", "M1"), ("uart_0__tx", "L4"), ("esp32_0__gpio0", "L2")],
)
def test_top_is_wired_to_the_boards_pins(plan, port, pin):
    assert re.search(rf'LOCATE COMP "{port}\w*" SITE "{pin}"', plan.files["top.lpf"])


def test_crystal_is_constrained_and_multiplied(plan):
    assert re.search(r'FREQUENCY PORT "clk25\w*" 25000000.0 HZ', plan.files["top.lpf"])
    netlist = plan.files["top.il"]
    for parameter, value in (("CLKI_DIV", 5), ("CLKFB_DIV", 16), ("CLKOP_DIV", 8)):
        match = re.search(rf"parameter (?:signed )?\\{parameter} (\d+)", netlist)
        assert match, parameter
        assert int(match[1]) == value


def test_esp32_is_only_held_off_the_board(plan):
    assert plan.files["top.lpf"].count("esp32") == 2, "the pin's place and its attributes"


def test_bitstream_holds_the_model(plan):
    top = Top(BOARD, preset("tiny"), Image.empty(), 80)
    empty = BOARD.variant("12F").platform().prepare(top, "top")
    assert empty.files["top.il"] != plan.files["top.il"]


def test_another_ecp5_board_needs_nothing_but_data():
    board = Board(
        name="icepi_zero",
        variants={"25F": Variant(icepi_zero.IcepiZero1_3Platform, "tiny")},
        clock="clk50",
        clock_mhz=50,
        frequency=80,
        lights=1,
    )
    top = Top(board, preset("tiny"), Image.empty(), 80)
    files = board.variant("25F").platform().prepare(top, "top").files
    assert 'LOCATE COMP "clk50_0__io" SITE "M1"' in files["top.lpf"]
    assert files["top.lpf"].count("LOCATE COMP") == 4, "clock, serial port, and one LED"
    assert re.search(r"parameter (?:signed )?\\CLKI_DIV 5\b", files["top.il"])
    assert re.search(r"parameter (?:signed )?\\CLKFB_DIV 8\b", files["top.il"])
