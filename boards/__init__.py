"""Bitstreams for open FPGA boards, made with open tools only.

A board is a file of data here (:class:`boards.board.Board`) and a line in the table below. What
boards of one FPGA family share is in the folder of that family.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boards.board import Board, BuildError, find
    from boards.ecp5.flow import Build, build

__all__ = ["BOARDS", "Board", "Build", "BuildError", "build", "find"]

BOARDS = (
    "ulx3s",
)  # fmt: skip
"""Names of all boards, which are those of their files."""

_HOMES = {
    "Board": "boards.board",
    "Build": "boards.ecp5.flow",
    "BuildError": "boards.board",
    "build": "boards.ecp5.flow",
    "find": "boards.board",
}

try:
    __version__ = version("egru-hw")
except PackageNotFoundError:  # the folder is on the path without being installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
