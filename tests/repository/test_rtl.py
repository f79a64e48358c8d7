"""rtl/: the Verilog of one preset, and the digests of the others, are what the design emits."""

import json
import re
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import preset
from egru_hw.gateware.verilog import (
    DIGESTS,
    PUBLISHED,
    READABLE,
    digest,
    emit,
    file_name,
    merge_equal_modules,
)

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


class Register(wiring.Component):
    """A register that only its value at power-up tells from others."""

    i: In(4)
    o: Out(4)

    def __init__(self, init: int):
        self.init = init
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        held = Signal(4, init=self.init, reset_less=True)
        m.d.sync += held.eq(self.i)
        m.d.comb += self.o.eq(held)
        return m


@pytest.mark.parametrize(("inits", "modules"), [((3, 3), 1), ((3, 5), 2)])
def test_modules_are_merged_unless_their_registers_power_up_differently(inits, modules):
    m = Module()
    source, outputs = Signal(4), []
    for number, init in enumerate(inits):
        m.submodules[f"register_{number}"] = part = Register(init)
        m.d.comb += part.i.eq(source)
        outputs.append(part.o)
    design = rtlil.convert(m, name="top", ports=[source, *outputs], emit_src=False)
    merged = merge_equal_modules(design)
    assert len(re.findall(r"(?m)^module ", merged)) == modules + 1  # and the top


def test_no_process_depends_on_being_started():
    assert "always @*" not in emit(preset(READABLE))
