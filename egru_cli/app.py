"""The subcommands of ``egru``, each imported when it is used."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from egru_cli import checkout
from egru_cli.main import explained

SUBCOMMANDS = {
    "train": "Train a network on a task, quantise it and evaluate it.",
    "tune": "Continue the training of a model with quantised weights.",
    "eval": "Evaluate a model on its task's test set.",
    "predict": "Classify your own sequences.",
    "sim": "Simulate the accelerator and compare it with the integer model, bit by bit.",
    "verilog": "Write the accelerator as Verilog.",
    "bitstream": "Build a bitstream that holds a model.",
    "program": "Load a bitstream into a board.",
    "bench": "Time the training core against dense networks; in a checkout only.",
    "results": "Repeat the experiments of docs/results.md; in a checkout only.",
}
"""Name and description of each subcommand: the function ``main`` of the module of that name."""


class Subcommands(TyperGroup):
    """A group that knows its subcommands by their descriptions until one is used."""

    def resolve_command(self, ctx, args):
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            checkout.check(Path.cwd())
            command = subcommand(name)
        return name, command, rest

    def invoke(self, ctx):
        with explained():  # here, as typer turns Ctrl-C into a status without a word
            return super().invoke(ctx)


def subcommand(name: str):
    """The subcommand of that name with its options; imports its module."""
    single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    single.command(name)(import_module(f"egru_cli.{name}").main)
    return typer.main.get_command(single)


def _show_version(value: bool) -> None:
    if value:
        print(checkout.version())
        raise typer.Exit


app = typer.Typer(
    cls=Subcommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def _egru(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and the folder of the code that runs, and exit.",
        ),
    ] = False,
) -> None:
    """Event-based GRUs from training in PyTorch to an FPGA.

    MODEL is the name of a shipped model or a model file wherever a command takes one.
    """


for _name, _description in SUBCOMMANDS.items():
    app.command(_name, help=_description)(lambda: None)
