"""The cost model: when a dense product is faster, how many threads pay, how long chunks are.

The numbers are constants, measured on one machine (docs/performance.md), so that a program
computes the same everywhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import torch
from torch import Tensor

Choice = Literal["auto", "dense", "sparse"]

FEW_ROWS = 16  # up to here, weights are reused too rarely for packing to pay
SECOND_LEVEL = 1 << 21  # bytes that stay in a second-level cache
CELL = 100  # multiply-accumulates that take as long as one unit's activations and threshold
# Approximate rows (steps times sequences) of a chunk of steps, which bounds the size of temporary
# arrays. A forward pass that records uses the chunks of the backward pass, which shares its
# memory.
FORWARD_ROWS, BACKWARD_ROWS = 8192, 2048

_choice: ContextVar[Choice] = ContextVar("products", default="auto")


@contextmanager
def forced(choice: Choice) -> Iterator[None]:
    """Within the block, compute every product "dense" or "sparse", even if slower.

    Holds for the calling thread only. On the CPU, PyTorch runs a backward pass in the thread that
    starts it: one that is started within the block is included, wherever its forward pass ran.
    """
    token = _choice.set(choice)
    try:
        yield
    finally:
        _choice.reset(token)


def _most(dense_from: float) -> float:
    return {"auto": dense_from, "dense": -1.0, "sparse": 1.0}[_choice.get()]


def most_events(rows: int, weight_bytes: int) -> float:
    """Share of non-zeros up to which R y, W x, dR and dW are computed event by event.

    A dense product of ``rows`` rows with a matrix of ``weight_bytes`` keeps a weight in a register
    for many rows, while one with events reads it from the second-level cache for every event. With
    few rows, both read each weight they use once, and a dense product has higher bandwidth if the
    weights are not in that cache.
    """
    if rows <= FEW_ROWS:
        return _most(1.0 if weight_bytes <= SECOND_LEVEL else 0.7)
    return _most(0.65 if rows <= 32 else 0.5)


def most_wanted(rows: int) -> float:
    """Share of wanted elements up to which Rᵀ dq and dx are computed element by element."""
    return _most(0.65 if rows <= 64 else 0.4)


def most_inputs_with_events() -> float:
    """Share of inputs with an event up to which a gradient of weights from at most ``FEW_ROWS``
    rows is written row by row. It is limited by memory, not arithmetic: beyond this share,
    writing all of it at once is faster."""
    return _most(0.08)


def worth_checking(rows: int, inputs: int) -> bool:
    """Whether checking the weights of ``inputs`` inputs takes at most 2 % of the time of the cells
    of ``rows`` rows."""
    return 3 * inputs <= 0.02 * CELL * rows


def worth_transposing(steps: int, count: int, weight: Tensor) -> bool:
    """Whether ``steps`` steps of ``count`` sequences repay a transposed copy of ``weight``, if it
    needs one. The copy of a large weight takes as long as about eight steps that read it once."""
    cheap = weight.stride(0) == 1 or weight.nbytes <= SECOND_LEVEL
    return cheap or steps * max(count, 8) >= 64


def threads(work: float) -> int:
    """Threads for ``work`` multiply-accumulates between barriers."""
    return max(1, min(torch.get_num_threads(), int(work / 500_000)))


def chunk(steps: int, count: int, backward: bool) -> int:
    """Steps per chunk for ``count`` sequences; ``backward``: with a backward pass."""
    rows = BACKWARD_ROWS if backward else FORWARD_ROWS
    return max(1, min(steps, rows // max(1, count)))
