"""Bitstreams for open FPGA boards, made with open tools only.

A board is one file of data in this folder (:class:`boards.board.Board`) and one line in
:data:`BOARDS`. Code that boards of one FPGA family share is in the family's folder.
"""

from typing import TYPE_CHECKING

from golden import lazy

if TYPE_CHECKING:
    from boards.board import Board, BuildError, find
    from boards.ecp5.flow import Build, build


BOARDS = (
    "ulx3s",
)  # fmt: skip
"""Names of all boards. ``boards/NAME.py`` describes the board ``NAME``."""

__all__ = ["BOARDS", "Board", "Build", "BuildError", "build", "find"]

_HOMES = {
    "Board": "boards.board",
    "Build": "boards.ecp5.flow",
    "BuildError": "boards.board",
    "build": "boards.ecp5.flow",
    "find": "boards.board",
}

__version__ = lazy.VERSION
__getattr__, __dir__ = lazy.exports(__name__, [*__all__, "__version__"], _HOMES)
