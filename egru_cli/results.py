"""``egru results``: the experiments of docs/results.md."""

from experiments.results.__main__ import main

__all__ = ["main"]
