"""The command ``egru``, in a process of its own or in this one."""

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from egru_cli.app import app

ROOT = Path(__file__).parents[2]


def start(folder: Path, *words: object, path: Path | None = None, **more) -> subprocess.Popen:
    """Start ``egru words`` in ``folder``; modules in ``path`` come before all others."""
    places = [str(place) for place in (path, ROOT) if place]
    return subprocess.Popen(
        [sys.executable, "-m", "egru_cli", *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places), "COLUMNS": "200"},
        stderr=subprocess.PIPE,
        text=True,
        **{"stdout": subprocess.PIPE, **more},
    )


def egru(folder: Path, *words: object, path: Path | None = None) -> tuple[int, str, str]:
    """Status, standard output and standard error of ``egru words``."""
    with start(folder, *words, path=path) as process:
        output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def refusal(folder: Path, *words: object, path: Path | None = None) -> str:
    """The sentence with which ``egru words`` ends, which must be all that it writes."""
    status, output, errors = egru(folder, *words, path=path)
    assert (status, output) == (2, ""), errors
    (line,) = errors.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def invoke(*words: object):
    """``egru words`` in this process, so that its parts can be replaced."""
    return CliRunner(env={"COLUMNS": "500"}).invoke(app, [str(word) for word in words])
