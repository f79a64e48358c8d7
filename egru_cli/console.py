"""Where text goes: messages to standard error, results to standard output; both plain."""

from rich.console import Console

console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
results = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
