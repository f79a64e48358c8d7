"""rtl/: the Verilog of one preset, and the digests of the others, are what the design emits."""

import json
import re
from pathlib import Path

import pytest

from egru_hw.contract.config import preset
from egru_hw.gateware.verilog import DIGESTS, PUBLISHED, READABLE, digest, emit, file_name

RTL = Path(__file__).parents[2] / "rtl"
HINT = "run make rtl and commit what it writes"


@pytest.mark.parametrize("name", PUBLISHED)
def test_committed_digests_are_those_of_what_the_design_emits(name):
    assert json.loads((RTL / DIGESTS).read_text())[name] == digest(emit(preset(name))), HINT


def test_committed_verilog_is_what_the_design_emits():
    committed = (RTL / file_name(READABLE)).read_text()
    assert committed == emit(preset(READABLE)), HINT


def test_every_module_is_written_once():
    text = emit(preset("ulx3s-85f"))
    modules = re.split(r"(?m)^(?=module )", text)[1:]
    bodies = [module.partition("(")[2] for module in modules]
    names = [module.partition("(")[0] for module in modules]
    for name, body in zip(names, bodies, strict=True):
        if "slice_" not in name:  # which differ by the groups of units that they select
            assert bodies.count(body) == 1, name
    assert sum("unit_" in name for name in names) == 1


def test_no_process_depends_on_being_started():
    assert "always @*" not in emit(preset(READABLE))
