"""Recurrent cells by name, one file for each. PyTorch is imported when a cell is built.

A new cell is a file with a ``CELL`` here, and its name in the list below.
"""

from importlib import import_module

from golden.cells.base import Cell

__all__ = ["CELLS", "Cell", "find_cell"]

NAMES = [
    "egru",
    "gru",
    "lstm",
]
CELLS: dict[str, Cell] = {name: import_module(f"golden.cells.{name}").CELL for name in NAMES}


def find_cell(name: str) -> Cell:
    """The cell called ``name``; ``ValueError`` lists the known ones."""
    if name not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(CELLS)}, not {name!r}")
    return CELLS[name]
