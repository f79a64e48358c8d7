"""The description of a board, from which the top level and the build are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from amaranth.build.plat import TemplatedPlatform

import boards


class BuildError(Exception):
    """No bitstream was built or loaded; the message tells the user why."""


@dataclass(frozen=True)
class Variant:
    """One FPGA that the board is available with: its platform, and the accelerator's preset."""

    platform: type[TemplatedPlatform]
    preset: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board with a serial port over USB. Resource names are those of its platform.

    Args:
        name: name on the command line, and of the file that describes the board.
        variants: FPGAs by name.
        clock: resource of the crystal, which runs at ``clock_mhz``.
        frequency: default clock of the accelerator in MHz.
        uart: resource of the serial port.
        lights: number of LEDs, ``led`` 0 to at most 3: see :class:`boards.top.BoardTop`.
        high: pins to drive high, as (resource, signal).
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
