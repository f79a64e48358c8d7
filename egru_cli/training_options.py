"""What the commands train, tune and eval have in common."""

import inspect
import logging
import sys
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

from typer import Option

from golden.recipe import kind

Threads = Annotated[int, Option(min=1, max=1024, help="Number of processor threads.")]
Data = Annotated[
    Path | None,
    Option(help="File or folder of the task's data, for tasks that read any.", show_default=False),
]
Resume = Annotated[bool, Option("--resume", help="Continue from the checkpoint beside the model.")]


def with_options_of(choices: type, default: str | None = None) -> Callable[[Callable], Callable]:
    """A decorator that replaces ``**choices`` of a command by an option per field of a dataclass.

    Args:
        default: what to show as the default of options that are left out; the command then
            gets None for them. Without it, the fields' own defaults hold.
    """

    def decorate(command: Callable) -> Callable:
        hints = get_type_hints(command, include_extras=True)
        *own, _ = inspect.signature(command).parameters.values()
        parameters = [p.replace(annotation=hints[p.name]) for p in own]
        parameters += [_parameter(choice, default) for choice in fields(choices)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _parameter(choice: Field, default: str | None) -> inspect.Parameter:
    about = choice.metadata
    values = Literal[tuple(about["choices"])] if about["choices"] else kind(choice)
    option = Option(
        min=about["minimum"], max=about["maximum"], help=about["help"], show_default=default or True
    )
    return inspect.Parameter(
        choice.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if default else choice.default,
        annotation=Annotated[values | None if default else values, option],
    )


def prepare(threads: int) -> None:
    """Set torch up for a reproducible run, and log progress to standard error."""
    import torch

    from golden.training.processes import is_first

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # No code here reads uninitialised memory, and to fill it takes time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    level = logging.INFO if is_first() else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
