"""``egru board``: a virtual board behind a serial port."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from egru_cli.console import console, results
from egru_cli.options import Preset
from egru_cli.progress import progress
from egru_hw.contract.config import preset as preset_of
from egru_hw.contract.image import build_image
from golden.model_file import load
from sim.simulation import BUILD
from sim.virtual_board import FAULTS, VirtualBoard

_KINDS = "; ".join(f"{kind}: {meaning}" for kind, meaning in FAULTS.items())


def main(
    preset: Preset = "ulx3s-12f",
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model that is built into the board, as into a bitstream: a shipped model, or a "
            "model file.",
            show_default="none",
        ),
    ] = None,
    link: Annotated[
        Path | None,
        typer.Option(
            help="Path for a symbolic link to the port, which stays the same if the port vanishes.",
            show_default="none",
        ),
    ] = None,
    faults: Annotated[
        str,
        typer.Option(
            help="Faults of the line, as KIND=PROBABILITY,... for each byte. " + _KINDS + ".",
            show_default="none",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the faults.")] = 0,
    latency: Annotated[
        float,
        typer.Option(
            min=0,
            max=255,
            help="Milliseconds for which a USB adapter would hold back a few bytes.",
        ),
    ] = 0.0,
    out: Annotated[Path, typer.Option(help="Folder for the compiled simulations.")] = BUILD,
) -> None:
    """Run a simulated board that any program can open as a serial port.

    The board's whole design is simulated, with the bits on its serial line. Prints the name of the
    port, and runs until Ctrl-C. Then prints what has crossed the line, as JSON.
    """
    config = preset_of(preset)
    image = build_image(load(model).twin(), config) if model else None
    rates = _rates(faults)
    if link and link.exists() and not link.is_symlink():
        raise ValueError(f"--link {link}: there is a file of this name: choose another one")
    with progress() as show:
        board = VirtualBoard(
            config,
            image,
            faults=rates,
            seed=seed,
            latency=latency,
            link=link,
            build=out,
            progress=show,
        )
    with board:
        results.print(link or board.port, soft_wrap=True)
        console.print(f"{preset} is on this port until Ctrl-C")
        try:
            board.wait()
        except KeyboardInterrupt:
            print(json.dumps(asdict(board.close()), indent=2))


def _rates(text: str) -> dict[str, float]:
    """Rates of the kinds of faults, from the text of ``--faults``."""
    rates = {}
    for part in filter(None, text.split(",")):
        kind, _, rate = part.partition("=")
        try:
            rates[kind.strip()] = float(rate)
        except ValueError:
            raise ValueError(
                f"--faults {text}: expected KIND=PROBABILITY, such as flip=1e-4, not {part!r}"
            ) from None
    return rates
