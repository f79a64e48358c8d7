"""What a board is: data, from which the top level and the build are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from amaranth.build.plat import TemplatedPlatform

import boards


class BuildError(Exception):
    """Why there is no bitstream, in one sentence for the user."""


@dataclass(frozen=True)
class Variant:
    """An FPGA that a board is sold with: its platform, and the preset of the accelerator."""

    platform: type[TemplatedPlatform]
    preset: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board with a serial port behind USB. Resources are named as its platform names them.

    Args:
        name: on the command line and of its file.
        variants: by the name of the FPGA.
        clock: resource of the crystal, of ``clock_mhz``.
        frequency: clock of the accelerator in MHz, unless another one is asked for.
        uart: resource of the serial port.
        lights: how many of the LEDs ``led`` 0, 1, ... show heartbeat, step, overrun and loss.
        high: pins to be driven high, as (resource, signal).
    """

    name: str
    variants: Mapping[str, Variant]
    clock: str
    clock_mhz: float
    frequency: float
    uart: str = "uart"
    lights: int = 4
    high: tuple[tuple[str, str], ...] = ()

    def variant(self, name: str) -> Variant:
        """The variant called ``name`` in any case; ``BuildError`` lists the known ones."""
        return _one_of(self.variants, name.upper(), f"variant of {self.name}")


def find(name: str) -> Board:
    """The board called ``name``; ``BuildError`` lists the known ones."""
    _one_of(dict.fromkeys(boards.BOARDS), name, "board")
    return import_module(f"boards.{name}").BOARD


def _one_of(table: Mapping, key: str, what: str):
    if key not in table:
        raise BuildError(f"{key!r} is not a {what}: expected one of {', '.join(table)}.")
    return table[key]
