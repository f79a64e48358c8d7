"""Options and set-up that the commands train, tune and eval share."""

import inspect
import logging
import sys
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

from typer import Option

from golden.recipe import kind, needs

Threads = Annotated[int, Option(min=1, max=1024, help="Number of CPU threads.")]
Data = Annotated[
    Path | None,
    Option(help="File or folder with the task's data, if the task needs any.", show_default=False),
]
Resume = Annotated[
    bool, Option("--resume", help="Resume interrupted training from its checkpoint.")
]
Overwrite = Annotated[
    bool,
    Option("--overwrite", help="Replace the files of an earlier training, finished or not."),
]


def with_options_of(choices: type, default: str | None = None) -> Callable[[Callable], Callable]:
    """A decorator that replaces ``**choices`` of a command by one option per dataclass field.

    Args:
        default: shown as the default of every option, while the command receives None for
            options that are not given. If it is None, the defaults are those of the fields.
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
    wanted = ", ".join(need.words for need in needs(choice))
    option = Option(
        min=about["minimum"],
        max=about["maximum"],
        help=f"{about['help']} Needs {wanted}." if wanted else about["help"],
        show_default=default or True,
    )
    return inspect.Parameter(
        choice.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if default else choice.default,
        annotation=Annotated[values | None if default else values, option],
    )


def prepare(threads: int) -> None:
    """Make torch deterministic, and log progress to standard error."""
    import torch

    from golden.training.processes import is_first

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling uninitialised memory takes time, and no code here reads it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    level = logging.INFO if is_first() else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
