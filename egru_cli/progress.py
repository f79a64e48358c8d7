"""The progress of a simulation on the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from egru_cli.console import console


@contextmanager
def progress() -> Iterator[Callable[[str, float | None], None]]:
    """A bar on a terminal, a line per phase elsewhere.

    Yields a function of the phase's name and the share of it that is done, if that is known.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)
        phase = ""

        def show(name: str, share: float | None) -> None:
            nonlocal phase
            if name != phase and not console.is_terminal:
                console.print(f"{name} ...")
            phase = name
            bar.update(task, description=name, completed=share or 0, total=share and 1)

        yield show
