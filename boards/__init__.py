"""Bitstreams for open FPGA boards, made with open tools only.

A board is a file of data here (:class:`boards.board.Board`) and a line in the table below. What
boards of one FPGA family share is in the folder of that family.
"""

from typing import TYPE_CHECKING

from golden import lazy

if TYPE_CHECKING:
    from boards.board import Board, BuildError, find
    from boards.ecp5.flow import Build, build


BOARDS = (
    "ulx3s",
)  # fmt: skip
"""Names of all boards, which are those of their files."""

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
