"""``egru results``: the experiments of docs/results.md."""

from experiments.results.runner import main

__all__ = ["main"]
