"""The option ``--html``: a report as one page."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from egru_cli.console import console
from golden import output


def _checked(path: Path | None) -> Path | None:
    """Refuse a page that could not be made, before the work for it is done."""
    if path:
        import_module("bokeh")
        output.check(path)
    return path


Html = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Also write a page with figures, which opens from disk and loads nothing. Needs the "
        "extra egru-hw[report].",
        show_default="none",
        callback=_checked,
    ),
]


def write_page(path: Path, page: str) -> None:
    """Write a page, and say how large it is."""
    output.write(path, page)
    console.print(f"wrote {path} ({len(page.encode()) / 1e6:.1f} MB)")
