"""Which code runs: that of a checkout, or an installed package."""

import tomllib
from importlib import metadata
from pathlib import Path

NAME = "egru-hw"
ROOT = Path(__file__).resolve().parents[1]
"""Folder that holds the packages whose code runs."""


class WrongCheckoutError(Exception):
    """The current folder belongs to a checkout other than the one whose code runs."""


def is_checkout() -> bool:
    """Whether the code that runs is that of a checkout."""
    return _project(ROOT) is not None


def version() -> str:
    """Name and version of what runs, and where it is."""
    if project := _project(ROOT):
        return f"{NAME} {project['version']}, checkout {ROOT}"
    return f"{NAME} {metadata.version(NAME)}, installed in {ROOT}"


def check(folder: Path) -> None:
    """Refuse to work in a checkout with code from elsewhere.

    That happens in the environment of another checkout, whose editable install comes first on
    Python's path.

    Args:
        folder: the current folder.

    Raises:
        WrongCheckoutError: ``folder`` is in a checkout other than the one that runs.
    """
    folder = folder.resolve()
    for place in (folder, *folder.parents):
        if _project(place) is None:
            continue
        if place != ROOT:
            raise WrongCheckoutError(
                f"this folder belongs to the checkout {place}, but the code that runs is in "
                f"{ROOT}: run 'make setup' in {place} and use its .venv/bin/egru, or change to "
                f"another folder"
            )
        return


def _project(folder: Path) -> dict | None:
    """The table ``project`` of the pyproject.toml of a checkout; None for any other folder."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text()).get("project", {})
    except (OSError, ValueError):
        return None
    return project if project.get("name") == NAME else None
