"""``egru generate``: a language model writes text, a character at a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Literal

import numpy as np
import typer

from egru_cli.console import console
from egru_cli.port import Port, connected
from golden import generation
from golden.generation import Step
from golden.integer import IntegerEGRU
from golden.model_file import ModelFile, load


def main(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Name of a shipped language model, or a model file."),
    ] = "charlm",
    port: Port = None,
    on: Annotated[
        Literal["device", "integer"],
        typer.Option(help="What to run: a device, or the integer model, which needs none."),
    ] = "device",
    prompt: Annotated[
        str, typer.Option(help="Text to continue.", show_default="a line break")
    ] = "\n",
    length: Annotated[int, typer.Option(min=1, help="Number of characters to write.")] = 500,
    temperature: Annotated[
        float,
        typer.Option(
            min=0,
            help="Below 1, probable characters become more probable; with 0, the most probable is "
            "always taken.",
        ),
    ] = 0.7,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Random seed; not with --temperature 0.", show_default="0"),
    ] = None,
) -> None:
    """Let MODEL, a language model of characters, continue a text.

    The characters are drawn at random from the probabilities that MODEL gives. The same seed gives
    the same text, on a device and without one.
    """
    if on == "integer" and port is not None:
        raise ValueError("--port has no effect with --on integer: leave one of them out")
    if temperature == 0 and seed is not None:
        raise ValueError("--seed has no effect with --temperature 0: leave one of them out")
    file = load(model)
    symbols = _symbols(file)
    integer = file.twin()
    start = _numbers(prompt, symbols)
    with _steps(integer, port, on) as step:
        rng = np.random.default_rng(seed or 0)
        print(prompt, end="", flush=True)
        begin = time.monotonic()
        for symbol in islice(generation.generate(integer, step, start, temperature, rng), length):
            print(symbols[symbol], end="", flush=True)
        seconds = time.monotonic() - begin
    print()
    console.print(f"{length} characters in {seconds:.1f} s: {length / seconds:.0f} a second")


def _symbols(file: ModelFile) -> list[str]:
    """The characters that the model's inputs and outputs stand for."""
    symbols = file.config.get("symbols", [])
    if not symbols or not {len(symbols)} == {file.twin().input_size, file.twin().outputs}:
        raise ValueError(
            f"{file.path} is no language model of characters: use the shipped model charlm, or "
            f"train one with egru train charlm"
        )
    return symbols


def _numbers(prompt: str, symbols: list[str]) -> list[int]:
    """The numbers of the characters of ``prompt``."""
    if not prompt:
        raise ValueError("--prompt is empty: expected at least one character to begin with")
    numbers = {symbol: number for number, symbol in enumerate(symbols)}
    for character in prompt:
        if character not in numbers:
            raise ValueError(
                f"--prompt has the character {character!r}, which the model does not know: it "
                f"knows {''.join(symbols)!r}"
            )
    return [numbers[character] for character in prompt]


@contextmanager
def _steps(model: IntegerEGRU, port: str | None, on: str) -> Iterator[Step]:
    """The steps of what runs the model."""
    if on == "integer":
        yield generation.steps(model)
        return
    with connected(port) as device:
        device.load(model)
        stream = device.stream()
        yield lambda raw_inputs: stream.step(raw_inputs).outputs
