"""The console that messages go to: standard error, plain text."""

from rich.console import Console

console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
