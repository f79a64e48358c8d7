"""`make`: its targets and knobs, and what it does on a machine that lacks something.

Every test has its own clone, of the files that matter, and a PATH of just the programs named
here: the environment of the checkout is not touched, and nothing is installed.
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
PROGRAMS = ("make", "sh", "echo", "rm", "mkdir", "cp", "touch", "g++", "perl")

REAL_PYTHON = f'exec {sys.executable} "$@"'
# Makes a change, and then runs the code that is given with -c.
CHANGED_PYTHON = f'exec {sys.executable} -c "import sys; {{}}; exec(sys.argv[2])" "$@"'


class Machine:
    """A ``clone``, and a folder of ``programs`` that is all of PATH.

    Its Python makes environments whose programs only record their arguments in ``calls``: pip as
    they are, and egru each in brackets.
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
        self.program("egru", "printf '[%s]' \"$@\" >> calls; echo >> calls")
        venv = "mkdir -p .venv/bin && cp ../bin/pip .venv/bin/python && cp ../bin/egru .venv/bin"
        self.python(REAL_PYTHON, venv)

    def program(self, name: str, script: str) -> None:
        """Adds or replaces a program."""
        (self.programs / name).unlink(missing_ok=True)
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def python(self, script: str, venv: str = "exit 1") -> None:
        """Replaces python3: ``venv`` is what ``-m venv`` does."""
        self.program("python3", f'if [ "$1 $2" = "-m venv" ]; then {venv}; exit; fi\n{script}')

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["make", *arguments],
            cwd=self.clone,
            env={"PATH": str(self.programs), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def call(self, *arguments: str, **environment: str) -> str:
        """The last program that a ``make`` calls, with its arguments."""
        done = self.make(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return self.calls.read_text().splitlines()[-1]

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
    assert "Python 3.11 or later is required, but python3 is 3.10" in complaint
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
    assert "--editable .[sim,boards,report,train,dev]" in machine.calls.read_text()


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


# Targets and knobs


def test_sim_passes_its_knobs_on(machine):
    knobs = ("MODEL=a.safetensors", "DATA=d", "SEQUENCES=7", "SEED=3", "STALL=0.5", "WAVES=1")
    assert machine.call("sim", *knobs) == (
        "[sim][a.safetensors][--data][d][--sequences][7][--seed][3][--stall][0.5][--waves]"
    )


def test_sim_without_knobs_runs_the_shipped_model(machine):
    assert machine.call("sim") == "[sim][mnist1d][--seed][2][--stall][0]"


def test_bitstream_and_program_pass_their_knobs_on(machine):
    knobs = ("BOARD=b", "VARIANT=12F")
    assert machine.call("bitstream", *knobs, "PLACEMENT_SEED=3", "MODEL=a.safetensors") == (
        "[bitstream][b][--variant][12F][--model][a.safetensors][--placement-seed][3]"
    )
    assert machine.call("program", *knobs) == "[program][b][--variant][12F]"


def test_results_passes_its_knobs_on(machine):
    assert machine.call("results", "DATA=d", "JOBS=2") == "[results][--data][d][--jobs][2]"


def test_soak_passes_its_knob_on(machine):
    assert machine.call("soak", "VALUES=5") == "-m tests.soak 5"


@pytest.mark.parametrize(
    ("words", "knob", "expected"),
    [
        (("bitstream", "STALL=0.5"), "STALL", "BOARD VARIANT MODEL PLACEMENT_SEED PYTHON"),
        (("sim", "SEQUENCE=5"), "SEQUENCE", "MODEL DATA SEQUENCES SEED STALL WAVES PYTHON"),
        (("test", "SEED=3"), "SEED", "PYTHON"),
        (("sim", "program", "JOBS=2"), "JOBS", "MODEL DATA SEQUENCES SEED STALL WAVES BOARD"),
        (("clean", "PYTHON=python3"), "PYTHON", "none"),
    ],
)
def test_a_knob_without_effect_is_refused(machine, words, knob, expected):
    done = machine.make(*words)
    assert (done.returncode, done.stdout) == (2, "")
    goals = " ".join(word for word in words if "=" not in word)
    assert f"egru-hw: {knob} is no knob of make {goals}: expected {expected}" in done.stderr


def test_a_variable_of_the_environment_may_be_meant_for_others(machine):
    assert machine.call("program", SEED="3", CXX="c++") == "[program][ulx3s][--variant][85F]"


def test_a_knob_may_be_that_of_one_of_several_targets(machine):
    assert machine.make("sim", "program", "SEED=3", "BOARD=b").returncode == 0
    assert "[--seed][3]" in machine.calls.read_text()
    assert "[program][b]" in machine.calls.read_text()


@pytest.mark.parametrize("value", ["2", "yes", "0 1", "", "$(shell echo 1)"])
def test_waves_other_than_0_and_1_are_refused(machine, value):
    machine.make("sim")
    machine.calls.unlink()
    done = machine.make("sim", f"WAVES={value}")
    assert done.returncode != 0
    assert f"egru-hw: WAVES is '{value}': expected 0 or 1.\n" in done.stderr
    assert not machine.calls.exists()


VALUES = [
    "two words", "spaces  behind  ", "$(shell touch x)", "`touch x`", "$(touch x)", "a;touch x",
    "a\"b;touch x", "a'b;touch x", "a|touch x", "a&touch x", "a#b", "$HOME", "$$", "a\\", "*",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", ["arguments", "environment"])
def test_no_value_of_a_knob_is_changed_or_run(machine, value, place):
    def call(target: str, *knobs: str) -> str:
        if place == "arguments":
            return machine.call(target, *(f"{knob}={value}" for knob in knobs))
        return machine.call(target, **dict.fromkeys(knobs, value))

    found = call("sim", "MODEL", "DATA", "SEQUENCES", "SEED", "STALL")
    assert found == (
        f"[sim][{value}][--data][{value}][--sequences][{value}][--seed][{value}][--stall][{value}]"
    )
    found = call("bitstream", "BOARD", "VARIANT", "MODEL", "PLACEMENT_SEED")
    assert found == (
        f"[bitstream][{value}][--variant][{value}][--model][{value}][--placement-seed][{value}]"
    )
    assert call("program", "BOARD", "VARIANT") == f"[program][{value}][--variant][{value}]"
    assert call("results", "DATA", "JOBS") == f"[results][--data][{value}][--jobs][{value}]"
    assert not (machine.clone / "x").exists()


@pytest.mark.parametrize("value", VALUES)
def test_a_python_of_any_name_is_named_when_it_is_missing(machine, value):
    assert machine.complaint("setup", f"PYTHON={value}").startswith(f"egru-hw: {value} is missing")
    assert not (machine.clone / "x").exists()


def test_make_alone_lists_every_target_and_knob(machine):
    listed = machine.make().stdout
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", "")
    targets = re.search(r"^\.PHONY: help (.*)$", makefile, re.MULTILINE)[1]
    for target in targets.split():
        assert f"\n  {target} " in listed
    for knob in re.search(r"^KNOBS := (.*)$", makefile, re.MULTILINE)[1].split():
        assert re.search(rf"\b{knob}=\"", listed), knob
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
