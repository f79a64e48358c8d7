"""The accelerator as Verilog, for use without Amaranth: ``rtl/``.

``rtl/`` holds the Verilog of the smallest preset, for readers, and the digests of all.
"""

import hashlib
import json
import re
from pathlib import Path

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil
from amaranth.lib.wiring import Component

from egru_hw.contract.config import Config, preset
from egru_hw.gateware.accelerator import Accelerator
from golden import output

TOP = "egru"
READABLE = "tiny"
PUBLISHED = (READABLE, "ulx3s-12f", "ulx3s-45f", "ulx3s-85f")
DIGESTS = "digests.json"

# Amaranth's own conversion keeps processes: `always @*` blocks. Those that read only constants
# never run in a standard-conforming simulator. Converted to cells, they become assignments, which
# every simulator evaluates at time 0.
ATTRIBUTES = "-remove generator -remove top -remove src -remove amaranth.*"
SCRIPT = (
    "proc",
    "opt_expr",
    "memory_collect",
    "opt_merge",
    "opt_clean -purge",
    f"attrmap {ATTRIBUTES}",
    f"attrmap -modattr {ATTRIBUTES}",
    "write_verilog",
)


def emit(config: Config) -> str:
    """Verilog of the accelerator, its memories empty; the top module is ``egru``."""
    return convert(Accelerator(config))


def convert(component: Component, name: str = TOP) -> str:
    """Verilog of ``component``; the top module is ``name``.

    The text depends on the design alone, not on where or when it is emitted.
    """
    design = merge_equal_modules(rtlil.convert(component, name=name, emit_src=False))
    script = "\n".join((f"read_rtlil <<rtlil\n{design}\nrtlil", *SCRIPT))
    yosys = find_yosys(lambda version: version >= (0, 40))
    return yosys.run(["-q", "-"], script, ignore_warnings=True)


def merge_equal_modules(design: str) -> str:
    """RTLIL in which modules that differ in nothing but their names are written once.

    Amaranth writes a module for each instance of a component.
    """
    while True:
        kept: dict[str, str] = {}
        renamed: dict[str, str] = {}
        for block in re.split(r"(?m)^(?=(?:attribute .*\n)*module )", design):
            if not (found := re.search(r"(?m)^module (\S+)", block)):
                continue
            name = found[1]
            # A module's place in the hierarchy is not part of its logic. Other attributes are:
            # `init` is the value of a register at power-up.
            body = re.sub(r"(?m)^attribute \\(generator|top) .*\n", "", block)
            body = body.replace(f"module {name}\n", "")
            if (first := kept.setdefault(body, name)) != name:
                renamed[name] = first
                design = design.replace(block, "", 1)
        if not renamed:
            return design
        for name, first in renamed.items():
            design = design.replace(f"cell {name} ", f"cell {first} ")


def file_name(preset_name: str) -> str:
    """Name of the file that holds the Verilog of a preset."""
    return f"{TOP}_{preset_name.replace('-', '_')}.v"


def digest(text: str) -> str:
    """SHA-256 of emitted Verilog, as in ``rtl/digests.json``."""
    return hashlib.sha256(text.encode()).hexdigest()


def write(out: Path, presets: tuple[str, ...] = PUBLISHED) -> list[Path]:
    """Write the Verilog of each preset to ``out``, and the digests if these are all published
    presets; return the paths.

    Raises:
        ValueError: there is no such preset, or a file cannot be written; nothing is written.
    """
    configs = {name: preset(name) for name in presets}
    paths, digests = [out / file_name(name) for name in configs], {}
    if set(presets) == set(PUBLISHED):
        paths.append(out / DIGESTS)
    output.check(*paths)
    for path, (name, config) in zip(paths, configs.items(), strict=False):
        text = emit(config)
        digests[name] = digest(text)
        output.write(path, text)
    if out / DIGESTS in paths:
        output.write(out / DIGESTS, json.dumps(digests, indent=2) + "\n")
    return paths
