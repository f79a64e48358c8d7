"""The tables of the terminal and of docs/performance.md."""

from rich.table import Table

from experiments.training_speed.cases import Case, Shape
from experiments.training_speed.race import CONTESTANTS

SHOWN = (1.0, 0.2, 0.1, 0.05)  # activities in docs/performance.md


def terminal(cases: list[Case]) -> Table:
    """All cases of one shape and kind of inputs."""
    first = cases[0]
    table = Table(title=f"T, N, C, H = {first.shape}, {first.inputs} as inputs: milliseconds")
    for column in ("activity", "near", "pass", *CONTESTANTS, "GRU / core", "at most",
                   "done", "needed", "dense"):  # fmt: skip
        table.add_column(column, justify="right")
    for case in cases:
        seconds = case.seconds
        table.add_row(
            *_conditions(case),
            *(f"{1e3 * seconds[n]:.2f}" if n in seconds else "" for n in CONTESTANTS),
            f"{case.speed_up:.2f}", _largest(case),
            *(f"{case.total(index):,}" for index in range(3)),
        )  # fmt: skip
    return table


def markdown(cases: list[Case], memory: dict[Shape, dict[str, int]]) -> str:
    """The tables of docs/performance.md: times, and peak memory in bytes."""
    header = ["T, N, C, H", "inputs", "activity", "near", "pass", "core", "dense", "operations",
              "GRU", "GRU / core", "at most"]  # fmt: skip
    rows = []
    for case in cases:
        if case.window == 1 or case.activity not in SHOWN:
            continue
        if case.inputs == "dense" and case.activity != 1.0:
            continue
        times = (f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}"
                 for ms in (1e3 * seconds for seconds in case.seconds.values()))  # fmt: skip
        rows.append([_words(case.shape), case.inputs, *_conditions(case), *times,
                     f"{case.speed_up:.1f}", _largest(case)])  # fmt: skip
    of_memory = ["T, N, C, H", "memory, core", "memory, torch.nn.GRU", "a state per unit and step"]
    peaks = [[_words(shape), *megabytes(shape, found)] for shape, found in memory.items()]
    return _table(header, rows) + "\n" + _table(of_memory, peaks)


def megabytes(shape: Shape, memory: dict[str, int]) -> list[str]:
    """Peaks of the core and torch.nn.GRU, and the size of one state per unit and step."""
    steps, count, _, size = shape
    found = (memory["core"] / 1e6, memory["gru"] / 1e6, 4e-6 * steps * count * size)
    return [f"{value:.0f} MB" for value in found]


def _conditions(case: Case) -> list[str]:
    """Activity, share of near units, and passes."""
    near, passes = (f"{case.near:.0%}", "both") if case.window else ("", "forward")
    return [f"{case.activity:.0%}", near, passes]


def _largest(case: Case) -> str:
    return f"{case.largest_speed_up:.1f}" if case.largest_speed_up else ""


def _words(shape: Shape) -> str:
    return ", ".join(map(str, shape))


def _table(header: list[str], rows: list[list[str]]) -> str:
    head, *lines = (f"| {' | '.join(row)} |\n" for row in (header, *rows))
    return "".join([head, "|" + "---|" * len(header) + "\n", *lines])
