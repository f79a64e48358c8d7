"""Recurrent cells by name, one file for each. PyTorch is imported when a cell is built.

Another cell is a file here and a line in the table below.
"""

from golden.cells.base import Cell
from golden.cells.egru import EGRUCell
from golden.cells.gru import GRUCell
from golden.cells.lstm import LSTMCell

__all__ = ["CELLS", "Cell", "find_cell"]

CELLS: dict[str, Cell] = {cell.name: cell for cell in (EGRUCell(), GRUCell(), LSTMCell())}


def find_cell(name: str) -> Cell:
    """The cell called ``name``; ``ValueError`` lists the known ones."""
    if name not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(CELLS)}, not {name!r}")
    return CELLS[name]
