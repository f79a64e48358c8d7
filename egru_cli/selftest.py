"""``egru selftest``: a device compared with the integer model on random models."""

import math
import time
from typing import Annotated

import numpy as np
import typer

from egru_cli.console import console, results
from egru_cli.port import Port, connected
from egru_cli.progress import progress
from sim.comparison import compare
from sim.random_models import random_case

SEQUENCES = 16


def main(
    port: Port = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Stop after this time.", show_default="for ever"),
    ] = None,
    values: Annotated[
        int | None,
        typer.Option(
            min=1, help="Stop once so many values were compared.", show_default="for ever"
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Seed of the first model; each further one adds 1."),
    ] = 0,
) -> None:
    """Run random models of random sizes on the device, each on random sequences.

    Compares every event, state and output with the integer model, bit for bit. At the first
    difference, names it and exits with status 1. Without --minutes and --values, runs until Ctrl-C.
    """
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    target = math.inf if values is None else values
    compared, number = 0, seed
    with connected(port) as device, progress() as show:
        try:
            while time.monotonic() < end and compared < target:
                show(f"--seed {number}, {compared:,} values compared", compared / target or None)
                model, inputs = random_case(np.random.default_rng(number), device.config, SEQUENCES)
                device.load(model)
                comparison = compare(model.run(inputs), device.run(inputs))
                compared += comparison.compared
                if comparison.first:
                    console.print(f"mismatch with --seed {number}: first {comparison.first}")
                    raise typer.Exit(1)
                number += 1
        finally:  # also after Ctrl-C
            results.print(f"{compared:,} values compared; --seed {number} goes on from here")
            if line := device.line:
                results.print(f"errors of the line that were mended: {line.mended}")
