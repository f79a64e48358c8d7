"""The Verilog in rtl/ is what the design emits."""

from pathlib import Path

import pytest

from egru_hw.contract.config import preset
from egru_hw.gateware.verilog import PUBLISHED, emit, file_name

RTL = Path("rtl")


@pytest.mark.parametrize("name", PUBLISHED)
def test_committed_verilog_is_what_the_design_emits(name):
    committed = (RTL / file_name(name)).read_text()
    assert committed == emit(preset(name)), "run make rtl and commit what it writes"


def test_nothing_else_lies_in_rtl():
    assert {path.name for path in RTL.glob("*.v")} == {file_name(name) for name in PUBLISHED}
