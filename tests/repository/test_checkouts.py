"""Two checkouts side by side: the code of one never runs in the other unnoticed.

The second one is a copy of this one. Its environment is imitated by a finder that comes before
sys.path, as that of an editable install by scikit-build-core does.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.helpers.command import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SCIKIT_BUILD = PYPROJECT["tool"]["scikit-build"]
EDITABLE = [override for override in SCIKIT_BUILD["overrides"] if "state" in override["if"]]
PACKAGES = SCIKIT_BUILD["wheel"]["packages"] + EDITABLE[0]["wheel"]["packages"]

EDITABLE_INSTALL = """
import sys
from importlib.machinery import PathFinder

class Finder:
    def find_spec(self, name, path=None, target=None):
        *folders, _ = parts = name.split(".")
        if parts[0] in {packages!r}:
            return PathFinder.find_spec(name, ["/".join([{root!r}, *folders])])

sys.meta_path.insert(0, Finder())
"""


class Checkout:
    """A checkout at ``root`` and, in ``environment``, its editable install."""

    def __init__(self, root: Path, environment: Path):
        self.root = root
        self.environment = environment
        environment.mkdir()
        text = EDITABLE_INSTALL.format(packages=PACKAGES, root=str(root))
        (environment / "sitecustomize.py").write_text(text)

    def python(self, folder: Path, *words: str) -> subprocess.CompletedProcess:
        """Run this checkout's Python in ``folder``."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(self.environment)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def checkouts(tmp_path) -> tuple[Checkout, Checkout]:
    """This checkout, and a copy of it."""
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".*", "build", "runs", "docs", "rtl", "csrc", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return Checkout(ROOT, tmp_path / "env"), Checkout(copy, tmp_path / "env-of-copy")


def test_every_package_is_one_of_the_editable_install():
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == {*PACKAGES, "tests"}


def test_each_environment_runs_its_own_checkout(checkouts, tmp_path):
    for checkout in checkouts:
        for folder in (checkout.root, checkout.root / "sim", tmp_path):
            done = checkout.python(folder, "-m", "egru_cli", "--version")
            assert done.stdout.endswith(f", checkout {checkout.root}\n"), done.stderr


def test_the_command_refuses_to_work_in_another_checkout(checkouts):
    here, there = checkouts
    for one, other in ((here, there), (there, here)):
        for folder in (other.root, other.root / "tests" / "sim"):
            done = one.python(folder, "-m", "egru_cli", "verilog", "tiny")
            assert done.returncode == 2
            (sentence,) = done.stderr.splitlines()
            assert f"belongs to the checkout {other.root}," in sentence
            assert f"the code that runs is in {one.root}: run 'make setup' in" in sentence
    assert not (there.root / "rtl").exists()


def test_the_tests_refuse_to_test_another_checkout(checkouts):
    here, there = checkouts
    done = here.python(there.root, "-m", "pytest", "tests/egru_hw/contract")
    assert done.returncode == 4
    (sentence,) = done.stderr.strip().splitlines()
    assert f"these tests are in {there.root}, but the package golden " in sentence
    assert f"is in {here.root}: " in sentence
    done = there.python(there.root, "-m", "pytest", "-q", "tests/egru_hw/contract/test_config.py")
    assert done.returncode == 0, done.stdout
