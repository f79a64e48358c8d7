"""The architecture: packages import only what is below them, and importing has no side effect."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the bottom up. Modules on one floor do not import those of another name on it.
FLOORS = (
    ("golden.lazy", "golden.lengths", "golden.limits", "golden.output"),
    ("golden.objective", "golden.scaling", "golden.encoding", "golden.readouts"),
    ("golden.preparation",),
    ("golden.prediction",),
    ("golden.integer", "golden.core"),
    ("golden.cells",),
    ("golden.recipe",),
    ("golden.tasks",),
    ("golden.network",),
    ("golden.quantization",),
    ("golden.model_file",),
    ("golden.evaluation", "golden.generation", "golden.stepping"),
    ("golden.budget", "golden.foreign"),
    ("golden.training",),
    ("golden",),
    ("egru_hw.contract",),
    ("egru_hw.gateware",),
    ("egru_hw.link", "egru_hw.cost"),
    ("egru_hw.host",),
    ("egru_hw",),
    ("boards",),
    ("sim",),
    ("experiments",),
    ("egru_cli",),
)
FLOOR = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}
PACKAGES = sorted({package.partition(".")[0] for package in FLOOR})


def package_of(module: str) -> str | None:
    """The entry of the table that a module, or a name in it, belongs to; None if it has none."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in FLOOR), None)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of every import in a file, in functions also."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}, line {node.lineno}: write the import in full"
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def test_imports_only_go_down_the_floors():
    wrong = []
    for path in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        place = path.relative_to(ROOT)
        importer = package_of(".".join(place.with_suffix("").parts))
        for line, name in imports(path):
            imported = package_of(name)
            if imported and imported != importer and FLOOR[imported] >= FLOOR[importer]:
                wrong.append(f"{place}:{line} imports {name}")
    assert not wrong


def test_every_package_has_a_floor():
    for parent in ("golden", "egru_hw"):
        modules = [path.stem for path in (ROOT / parent).glob("[!_]*.py")]
        modules += [path.parent.name for path in (ROOT / parent).glob("*/__init__.py")]
        for module in modules:
            assert f"{parent}.{module}" in FLOOR
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == {*PACKAGES, "tests"}


HEAVY = ("torch", "lightning", "cocotb", "cocotb_tools", "matplotlib", "amaranth_boards", "typer")
IMPORT = """
import sys
class Arguments(list):
    def __getitem__(self, place): raise AssertionError("the import reads sys.argv")
    __iter__ = __len__ = __getitem__
sys.argv = sys.orig_argv = Arguments()
import {package}
print(*[module for module in {heavy} if module in sys.modules])
"""


@pytest.mark.parametrize("package", [*PACKAGES, "egru_hw.contract", "egru_hw.host", "golden.tasks"])
def test_importing_a_package_does_nothing_but_that(package):
    code = IMPORT.format(package=package, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
