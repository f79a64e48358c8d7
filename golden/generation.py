"""Symbols from a language model, one at a time. Needs only NumPy."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from golden.integer import IntegerEGRU

Step = Callable[[np.ndarray], np.ndarray]
"""A step of a running model: raw inputs (C,) to the sums of its read-out (K,)."""


def steps(model: IntegerEGRU) -> Step:
    """The steps of the integer model, from rest."""
    state = None

    def step(raw_inputs: np.ndarray) -> np.ndarray:
        nonlocal state
        result = model.run(raw_inputs[None, None], state)
        state = result.state
        return result.outputs[0, -1]

    return step


def generate(
    model: IntegerEGRU,
    step: Step,
    prompt: Sequence[int],
    temperature: float,
    rng: np.random.Generator,
) -> Iterator[int]:
    """Symbols that follow ``prompt``, without end.

    Each is drawn with the probabilities that the model gives after the symbols before it, and is
    its next input. The symbols depend on nothing but the arguments: where ``step`` is exact, so
    are they.

    Args:
        step: runs ``model``, whose read-out is read at every step.
        prompt: at least one symbol.
        temperature: divides the logits; with 0, the most probable symbol is chosen.
    """
    one_hot = model.quantize_inputs(np.eye(model.input_size)[None])[0]
    for symbol in prompt:
        sums = step(one_hot[symbol])
    while True:
        symbol = _draw(model.logits(sums, 1), temperature, rng)
        yield symbol
        sums = step(one_hot[symbol])


def _draw(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    with np.errstate(over="ignore"):  # to minus infinity, whose exponential is 0
        odds = np.exp((logits - logits.max()) / temperature)
    cumulative = odds.cumsum()
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
