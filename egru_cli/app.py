"""The subcommands of ``egru``, each imported when it is used."""

from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from egru_cli import checkout
from egru_cli.main import explained

SUBCOMMANDS = {
    "train": "Train, quantise and evaluate a network on a task.",
    "import": "Make a model file of a network that was trained elsewhere.",
    "tune": "Fine-tune a model with quantisation-aware training.",
    "eval": "Evaluate a model on its task's test set.",
    "predict": "Predict classes or values for your own sequences.",
    "sim": "Simulate the accelerator and check it bit for bit against the integer model.",
    "cost": "Compute what a model costs on the accelerator, without simulating it.",
    "board": "Run a virtual board behind a serial port.",
    "verilog": "Write the accelerator as Verilog.",
    "bitstream": "Build a bitstream that contains a model.",
    "program": "Load a bitstream into a board.",
    "info": "Show what is connected to a serial port.",
    "run": "Run a model on a device and check it bit for bit against the integer model.",
    "selftest": "Compare a device with the integer model on random models.",
    "generate": "Let a language model write text.",
    "bench": "Benchmark the training core against dense networks (only in a checkout).",
    "results": "Reproduce the experiments in docs/results.md (only in a checkout).",
}
"""Name and description of each subcommand: the function ``main`` of its module."""


class Subcommands(TyperGroup):
    """A group that imports a subcommand only when it is used."""

    def resolve_command(self, ctx, args):
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            checkout.check(Path.cwd())
            command = subcommand(name)
        return name, command, rest

    def invoke(self, ctx):
        with explained():  # here, as typer exits silently on Ctrl-C
            return super().invoke(ctx)


def module_of(name: str) -> str:
    """The name of a subcommand's module in this package, which cannot be a keyword."""
    return f"{name}_" if iskeyword(name) else name


def subcommand(name: str):
    """The subcommand of that name with its options; imports its module."""
    single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    single.command(name)(import_module(f"egru_cli.{module_of(name)}").main)
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
            help="Show the version and where the running code is located, and exit.",
        ),
    ] = False,
) -> None:
    """Event-based GRUs, from training in PyTorch to running on an FPGA.

    Wherever a command takes a MODEL, give the name of a shipped model or a model file.
    """


for _name, _description in SUBCOMMANDS.items():
    app.command(_name, help=_description)(lambda: None)
