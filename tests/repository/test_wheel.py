"""What the installed package holds; `make wheel-test` tries one outside the checkout."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["scikit-build"]["wheel"]["packages"]
BUILD = (
    "import sys, scikit_build_core.build as backend\n"
    "backend.build_wheel(sys.argv[1], {'wheel.cmake': 'false'})"  # without the compiled core
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> set[str]:
    """Paths of the files in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_module_of_its_packages(files):
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert str(path.relative_to(ROOT)) in files


def test_the_wheel_holds_the_shipped_models_the_page_and_the_marks_of_types(files):
    models = [str(path.relative_to(ROOT)) for path in ROOT.glob("golden/models/*.safetensors")]
    assert models
    assert {
        *models,
        "egru_cli/report/page.html",
        *(f"{package}/py.typed" for package in PACKAGES),
    } <= files


def test_the_wheel_holds_the_tables_of_the_costs(files):
    assert {"egru_hw/cost/builds.json", "egru_hw/cost/energy.toml"} <= files


def test_the_wheel_holds_no_tests_no_experiments_and_no_sources_of_the_core(files):
    tops = {path.partition("/")[0] for path in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    sources = {path for path in files if path.endswith((".cpp", ".hpp", ".pyc"))}
    assert sources == {"sim/backends/harness.cpp", "sim/board.cpp"}


def test_the_wheel_installs_the_command(files):
    assert any(path.endswith(".dist-info/entry_points.txt") for path in files)
