"""Counts the multiply-accumulates that the core does."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_PRODUCTS = ("W x", "R y", "Rt dq", "dW", "dR", "dx")
_counts: ContextVar[dict[str, int] | None] = ContextVar("multiply-accumulates", default=None)


@contextmanager
def count_macs() -> Iterator[dict[str, int]]:
    """Multiply-accumulates done within the block, by product: docs/performance.md lists these.

    Counts what the calling thread does, backward passes that it starts within the block included.
    In nested blocks, only the innermost counts.
    """
    counts = dict.fromkeys(_PRODUCTS, 0)
    token = _counts.set(counts)
    try:
        yield counts
    finally:
        _counts.reset(token)


def count(product: str, macs: int) -> None:
    """Adds to the count of a product, if counting is on."""
    if (counts := _counts.get()) is not None:
        counts[product] += macs
