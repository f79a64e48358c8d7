"""The command ``egru`` itself: help, errors, signals, extras."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from egru_cli.app import SUBCOMMANDS, module_of
from egru_cli.extras import MODULES
from tests.helpers.command import ROOT, egru, refusal, start

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_help_lists_every_subcommand_and_loads_nothing_heavy(tmp_path):
    script = (
        "import sys; sys.argv = ['egru', '--help']\n"
        "from egru_cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted({'numpy', 'amaranth', 'torch', 'cocotb'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.endswith("[]\n")
    for name, description in SUBCOMMANDS.items():
        assert re.search(rf"\b{name} +{description[:40]}", done.stdout), name


def test_every_subcommand_is_a_module_with_a_main():
    for name in SUBCOMMANDS:
        module = (ROOT / f"egru_cli/{module_of(name)}.py").read_text()
        assert re.search(r"^def main\(|^from \S+ import main$", module, re.M)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_explains_itself(name, tmp_path):
    status, output, errors = egru(tmp_path, name, "--help")
    assert (status, errors) == (0, "")
    assert f"Usage: egru {name} " in output


def test_egru_alone_shows_the_help(tmp_path):
    _, output, errors = egru(tmp_path)
    assert "Usage: egru [OPTIONS] COMMAND" in output + errors


def test_version_names_the_code_that_runs(tmp_path):
    status, output, _ = egru(tmp_path, "--version")
    assert (status, output) == (0, f"egru-hw {PROJECT['version']}, checkout {ROOT}\n")


def test_the_installed_command_is_this_main():
    assert PROJECT["scripts"] == {"egru": "egru_cli.main:main"}


# Errors


def test_an_unknown_subcommand_is_a_usage_error_with_a_suggestion(tmp_path):
    status, output, errors = egru(tmp_path, "bitsream")
    assert (status, output) == (2, "")
    assert "No such command 'bitsream'. Did you mean 'bitstream'?" in errors


def test_bad_input_is_one_sentence(tmp_path):
    (tmp_path / "text.safetensors").write_text("no model")
    assert "text.safetensors is not a readable" in refusal(tmp_path, "sim", "text.safetensors")


def test_a_name_of_any_characters_stays_in_one_sentence(tmp_path):
    for name, shown in (("a\nb", r"a\nb"), ("\x1b[2J\u2028", r"\x1b[2J\u2028"), (":x:", ":x:")):
        assert f"no model file at {shown}: " in refusal(tmp_path, "eval", name)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("a file where a folder is to be")
    words = ("--out", "file/new")
    for command, name in (
        (("verilog", "tiny", *words), "file/new/egru_tiny.v"),
        (("bitstream", *words), "file/new/ulx3s-85f/report.json"),
        (("sim", *words), "file/new/report.json"),
        (("train", "mnist1d", *words), "file/new"),
        (("tune", "mnist1d", *words), "file/new"),
    ):
        assert refusal(tmp_path, *command) == (
            f"{name} cannot be written ({tmp_path}/file: Not a directory): name another place"
        )


def test_a_bug_keeps_its_traceback(tmp_path):
    (tmp_path / "safetensors.py").write_text("raise RuntimeError('a bug')")
    status, _, errors = egru(tmp_path, "sim", path=tmp_path)
    assert status == 1
    assert errors.startswith("Traceback")


def test_a_reader_that_stops_early_is_no_error(tmp_path):
    (tmp_path / "x.csv").write_text("1\n2\n")
    read, write = os.pipe()
    os.close(read)
    with start(tmp_path, "predict", "mnist1d", "x.csv", "--json", stdout=write) as process:
        _, errors = process.communicate(timeout=60)
    os.close(write)
    assert (process.returncode, errors) == (128 + signal.SIGPIPE, "")


# Extras


def normalized(requirement: str) -> str:
    return re.match(r"[\w-]+", requirement)[0].lower()


def test_the_table_of_extras_is_that_of_the_project():
    homes = packages_distributions()
    declared = {
        extra: {normalized(requirement) for requirement in requirements}
        for extra, requirements in PROJECT["optional-dependencies"].items()
        if extra != "dev"
    }
    # tonic is not part of the usual environment; it is its own only module.
    table = {
        extra: {normalized(name) for module in modules for name in homes.get(module, [module])}
        for extra, modules in MODULES.items()
    }
    assert table == declared


@pytest.mark.parametrize(
    ("module", "words"),
    [
        *(
            (module, words)
            for module in ("torch", "lightning")
            for words in (("train", "mnist1d"), ("tune", "mnist1d"), ("results", "--train", "none"))
        ),
        ("torch", ("eval", "mnist1d")),
        ("torch", ("predict", "mnist1d", "x.csv", "--on", "float")),
        ("torch", ("bench",)),
        ("tensorboard", ("train", "mnist1d")),
        ("mnist1d", ("train", "mnist1d")),
        ("mnist1d", ("eval", "mnist1d")),
        ("mnist1d", ("sim",)),
        ("matplotlib", ("sim",)),
        ("matplotlib", ("results", "--train", "none")),
        ("matplotlib", ("bench",)),
        ("torch", ("cost", "mnist1d", "epochs=1", "--sweep")),
        ("distributed", ("cost", "--search", "--cluster", "tcp://127.0.0.1:1")),
        ("amaranth_boards", ("bitstream",)),
        ("bokeh", ("cost", "--html", "page.html")),
        ("bokeh", ("train", "mnist1d", "--html", "page.html")),
    ],
)
def test_a_missing_extra_is_one_sentence(module, words, tmp_path):
    (tmp_path / "x.csv").write_text("1\n2\n")
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys, importlib.abc\n"
        f"class Missing(importlib.abc.MetaPathFinder):\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {module!r}:\n"
        f"            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)\n"
        f"sys.meta_path.insert(0, Missing())\n"
    )
    assert (
        refusal(tmp_path, *words, path=tmp_path) == f"{module} is not installed: run 'make setup'"
    )


# Signals


@pytest.mark.parametrize(
    ("number", "status", "sentence"),
    [
        (signal.SIGINT, 130, "stopped by Ctrl-C"),
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGHUP, 129, "stopped by SIGHUP"),
    ],
)
class TestSignals:
    def test_an_import_that_catches_everything_is_stopped(self, number, status, sentence, tmp_path):
        (tmp_path / "numpy.py").write_text(
            f"import os\ntry: os.kill(os.getpid(), {int(number)})\nexcept BaseException: pass\n"
            f"raise RuntimeError('went on')"
        )
        assert egru(tmp_path, "sim", path=tmp_path) == (status, "", sentence + "\n")

    def test_a_command_is_stopped(self, number, status, sentence, tmp_path):
        os.mkfifo(tmp_path / "x.csv")
        with start(tmp_path, "predict", "mnist1d", "x.csv") as process:
            with open(tmp_path / "x.csv", "w"):  # waits until the command reads
                process.send_signal(number)
                output, errors = process.communicate(timeout=60)
        assert (process.returncode, output, errors) == (status, "", sentence + "\n")

    def test_programs_that_it_runs_are_ended(self, number, status, sentence, tmp_path, monkeypatch):
        for name in ("yosys", "nextpnr-ecp5", "ecppack"):
            (tmp_path / name).write_text(
                '#!/bin/sh\n[ "$1" = --version ] && echo "Yosys 0.70" && exit\n'
                f"sleep 300 &\necho $! > {tmp_path}/pid\nwait\n"
            )
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        with start(tmp_path, "bitstream", "--variant", "12F") as process:
            pid = wait_for(tmp_path / "pid")
            process.send_signal(number)
            process.communicate(timeout=60)
        assert process.returncode == status
        assert not is_running(pid)


def test_a_background_job_that_ignores_ctrl_c_goes_on(tmp_path):
    os.mkfifo(tmp_path / "x.csv")
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    with start(tmp_path, "predict", "mnist1d", "x.csv", **ignore) as process:
        with open(tmp_path / "x.csv", "w") as file:
            process.send_signal(signal.SIGINT)
            file.write("1\n2\n")
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "probability" in output


def wait_for(path: Path) -> int:
    """The number that a process writes to ``path``."""
    for _ in range(600):
        if path.exists() and (text := path.read_text().strip()):
            return int(text)
        time.sleep(0.1)
    raise AssertionError(f"no {path}")


def is_running(pid: int) -> bool:
    """Whether a process runs, rather than having ended or being a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
