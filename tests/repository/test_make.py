"""`make` on a machine that lacks something: one sentence, and nothing half done.

Every test has a clone of its own, of the files that matter, and a PATH that holds just the
programs named: the checkout's environment is not touched, and nothing is installed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sim.backends.verilator_install import ToolError, verilator_environment

ROOT = Path(__file__).parents[2]
FILES = ("Makefile", "CMakeLists.txt", "pyproject.toml", "constraints.txt", "tools/setup.sh")
PROGRAMS = ("make", "sh", "echo", "rm", "mkdir", "cp", "touch", "tr", "g++", "perl")

REAL_PYTHON = f'exec {sys.executable} "$@"'
# Runs the code that the real one was given with -c, with something changed before.
CHANGED_PYTHON = f'exec {sys.executable} -c "import sys; {{}}; exec(sys.argv[2])" "$@"'


class Machine:
    """A ``clone``, and a folder of ``programs`` that is all of PATH.

    Its Python makes environments in which pip only writes down its arguments, in ``calls``.
    """

    def __init__(self, folder: Path):
        self.clone = folder / "clone"
        self.programs = folder / "bin"
        self.calls = self.clone / "calls"
        self.programs.mkdir()
        for name in FILES:
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.clone / name)
        for name in PROGRAMS:
            (self.programs / name).symlink_to(shutil.which(name))
        self.program("pip", "echo $* >> calls")
        self.python(REAL_PYTHON, venv="mkdir -p .venv/bin && cp ../bin/pip .venv/bin/python")

    def program(self, name: str, script: str) -> None:
        """Adds or replaces a program."""
        (self.programs / name).unlink(missing_ok=True)
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def python(self, script: str, venv: str = "exit 1") -> None:
        """Replaces python3: ``venv`` is what ``-m venv`` does."""
        self.program("python3", f'if [ "$1 $2" = "-m venv" ]; then {venv}; exit; fi\n{script}')

    def make(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["make", *arguments],
            cwd=self.clone,
            env={"PATH": str(self.programs)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def complaint(self, *arguments: str) -> str:
        """The sentence with which a ``make`` fails that must fail."""
        done = self.make(*arguments)
        assert done.returncode != 0
        assert not list(self.clone.glob(".venv/ready-*")), "taken as complete"
        (sentence,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert sentence.startswith("egru-hw: ")
        assert sentence.endswith(".")
        return sentence


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("target", ["sim", "test"])
@pytest.mark.parametrize("tool", ["g++", "perl", "python3"])
def test_missing_tool_is_named(machine, tool, target):
    (machine.programs / tool).unlink()
    assert f"{tool} is missing" in machine.complaint(target)


def test_old_python_is_named_with_the_way_out(machine):
    machine.python(CHANGED_PYTHON.format("sys.version_info = (3, 10, 13)"))
    complaint = machine.complaint("test")
    assert "Python 3.11 or later is needed, but python3 is 3.10" in complaint
    assert "make PYTHON=" in complaint


def test_python_without_ensurepip_is_named(machine):
    machine.python(CHANGED_PYTHON.format("sys.modules['ensurepip'] = None"))
    assert "venv module is missing" in machine.complaint("test")


def test_venv_that_fails_is_named(machine):
    machine.python(REAL_PYTHON, venv="exit 1")
    assert "'python3 -m venv' failed" in machine.complaint("test")


def test_install_that_fails_is_named_and_repeated(machine):
    machine.program("pip", "exit 1")
    assert "pip could not install" in machine.complaint("setup")
    machine.program("pip", "echo $* >> calls")
    assert machine.make("setup").returncode == 0
    assert "--editable .[sim,boards,train,dev]" in machine.calls.read_text()


def test_setup_that_was_interrupted_starts_over(machine):
    assert machine.make("setup").returncode == 0
    machine.calls.unlink()
    machine.program("pip", "kill -KILL $PPID")
    os.utime(machine.clone / "constraints.txt")
    assert machine.make("setup").returncode != 0
    assert not list(machine.clone.glob(".venv/ready-*"))
    machine.program("pip", "echo $* >> calls")
    assert machine.make("setup").returncode == 0
    assert machine.calls.read_text().count("install") == 3


def test_setup_is_done_once_and_again_when_the_packages_change(machine):
    assert machine.make("setup").returncode == 0
    once = machine.calls.read_text()
    assert once.count("-c constraints.txt") == 3, "every call is pinned"
    assert machine.make("setup").stdout == ".venv is ready.\n"
    assert machine.calls.read_text() == once
    for name in ("pyproject.toml", "constraints.txt"):
        machine.calls.unlink()
        os.utime(machine.clone / name)
        assert machine.make("setup").returncode == 0
        assert machine.calls.read_text() == once


def test_simulation_needs_no_torch(machine):
    machine.make("sim")
    assert ",train" not in machine.calls.read_text()


@pytest.mark.parametrize("command", ["train", "fine_tune", "eval", "results", "bench"])
def test_commands_that_need_torch_say_so_where_it_is_missing(command, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None")
    done = subprocess.run(
        [sys.executable, "-m", f"golden.{command}", "--help"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("PyTorch is missing: ")
    assert done.stderr.count("\n") == 1


def test_sim_passes_its_knobs_on(machine):
    machine.make("sim", "MODEL=a.safetensors", "SEQUENCES=7", "SEED=3", "STALL=0.5", "WAVES=1")
    *_, call = machine.calls.read_text().splitlines()
    assert (
        call == "-m egru_cli.sim --model a.safetensors --sequences 7 --seed 3 --stall 0.5 --waves"
    )


def test_bitstream_passes_its_knobs_on(machine):
    machine.make("bitstream", "VARIANT=12F", "SEED=3", "MODEL=a.safetensors")
    *_, call = machine.calls.read_text().splitlines()
    assert call == "-m egru_cli.bitstream ulx3s --variant 12F --model a.safetensors --seed 3"


def test_make_alone_lists_every_target(machine):
    listed = machine.make().stdout
    targets = (ROOT / "Makefile").read_text().partition(".PHONY: help ")[2].splitlines()[0]
    for target in targets.split():
        assert f"\n  {target} " in listed
    assert not machine.calls.exists()


# The simulator


@pytest.fixture
def programs(machine, monkeypatch):
    monkeypatch.setenv("PATH", str(machine.programs))
    return machine


@pytest.mark.parametrize("tool", ["g++", "make", "perl"])
def test_simulation_without_a_compiler_is_one_sentence(programs, tool):
    (programs.programs / tool).unlink()
    with pytest.raises(ToolError, match=rf"^{re.escape(tool)} is missing: .*\.$"):
        verilator_environment()


def test_new_verilator_of_the_system_is_used(programs):
    programs.program("verilator", "echo Verilator 5.036 2025-04-27 rev v5.036")
    assert verilator_environment() == {"MAKEFLAGS": ""}


@pytest.mark.parametrize(
    "version", ["Verilator 5.006 2023-01-22", "Verilator 4.228", "rev UNKNOWN"]
)
def test_verilator_of_the_environment_replaces_an_old_one(programs, version):
    programs.program("verilator", f"echo {version}")
    environment = verilator_environment()
    found = Path(shutil.which("verilator", path=environment["PATH"]))
    assert found.parts[-3:] == ("verilator", "bin", "verilator")
    assert "CXX=g++" in environment["MAKEFLAGS"]
