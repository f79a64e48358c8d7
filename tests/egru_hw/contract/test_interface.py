"""docs/interface.md is what the sources say, and leaves nothing out."""

import importlib.util
import re
from pathlib import Path

from egru_hw.contract.config import preset
from egru_hw.contract.protocol import Command, Counter, Reply, Target
from egru_hw.contract.registers import REGISTERS, register_addresses

ROOT = Path(__file__).parents[3]
RTL = (ROOT / "rtl" / "egru_tiny.v").read_text()


def generated() -> str:
    spec = importlib.util.spec_from_file_location("interface", ROOT / "tools" / "interface.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


def test_the_page_is_what_the_sources_make():
    assert (ROOT / "docs" / "interface.md").read_text() == generated(), "run make docs"


def test_every_code_and_register_is_described():
    text = generated()
    for kind in (Command, Reply, Target, Counter):
        for member in kind:
            assert f"| {member.value} | `{member.name}` |" in text
            assert member.description in text
            assert member.description.endswith(".")
    names = {
        name if isinstance(name, str) else name[1] for name in register_addresses(preset("tiny"))
    }
    assert names == REGISTERS.keys()


def test_the_ports_are_those_of_the_verilog():
    (ports,) = re.findall(r"(?m)^module egru\(([^)]*)\)", RTL)
    listed = re.findall(r"(?m)^\| `(\w+)` \| (in|out) \| (\d+) \|", generated())
    assert {name for name, _, _ in listed} == set(ports.replace(" ", "").split(","))
    top = RTL[RTL.index("module egru(") :]
    for name, direction, bits in listed:
        width = rf"\[{int(bits) - 1}:0\] " if int(bits) > 1 else ""
        assert re.search(rf"(?m)^  {direction}put {width}{name};", top), name
