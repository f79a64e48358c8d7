"""The error budget of a model: its table, and the RTL's line in it."""

from typing import Any

from rich.table import Table

from egru_cli.console import results
from egru_cli.progress import progress
from golden.model_file import ModelFile
from golden.objective import Objective
from golden.tasks import Task

SEED = 2
"""For the choice of the sequences that are simulated, as by default in ``egru sim``."""


def budget_of(file: ModelFile, task: Task, rtl: int | None) -> dict[str, Any]:
    """See :func:`golden.budget.error_budget`; ``rtl`` is how many sequences are simulated."""
    from golden.budget import error_budget
    from golden.evaluation import has_twin

    integer, network = file.twin(), file.network()
    assert has_twin(network)
    with progress() as show:
        budget = {
            "model": str(file.path),
            "task": task.name,
            **error_budget(task, network, integer, show),
        }
        if rtl:
            # Here, as simulators need another extra.
            import sim
            from egru_cli.sim import choose, metrics

            split = choose(task, rtl, SEED)
            simulation = sim.run(integer, split.inputs, lengths=split.lengths, progress=show)
            outputs = {"integer": simulation.golden.outputs, "RTL": simulation.hardware.outputs}
            simulated = metrics(file, simulation.golden.lengths, split.targets, **outputs)
            budget["simulated"] = {
                "sequences": rtl,
                "integer": simulated["integer"],
                "RTL": simulated["RTL"],
                "mismatches": simulation.comparison.mismatches,
            }
    return budget


def print_budget(budget: dict[str, Any], objective: Objective) -> None:
    """The budget as three tables."""
    form, before = objective.form, None
    table = _table(f"{objective.title} by stage", "stage", objective.title, "change")
    for stage, metric in budget[objective.metric].items():
        change = "" if before is None else f"{metric - before:+{form}}"
        table.add_row(stage, f"{metric:{form}}", change)
        before = metric
    if found := budget.get("simulated"):
        stage, change = f"RTL, {found['sequences']} sequences", found["RTL"] - found["integer"]
        table.add_row(stage, f"{found['RTL']:{form}}", f"{change:+{form}}")
    results.print(table)

    table = _table("events that differ from the float network's", "quantised", "all", "only it")
    for number, layer in enumerate(budget["layers"]):
        shares = layer["events_differ"], layer["events_differ_alone"]
        table.add_row(f"layer {number}", *(f"{share:.2%}" for share in shares))
    results.print(table)

    table = _table("bits below the limit", "accumulator", "largest sum", "guaranteed")
    for number, layer in enumerate(budget["layers"]):
        for name, bits in layer["headroom_bits"].items():
            sure = layer["guaranteed_bits"][name]
            table.add_row(f"layer {number}, {name}", _bits(bits), _bits(sure))
    if readout := budget["readout"]:
        bits = readout["headroom_bits"], readout["guaranteed_bits"]
        table.add_row("read-out", *map(_bits, bits))
    results.print(table)


def _table(title: str, first: str, *figures: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for name in figures:
        table.add_column(name, justify="right")
    return table


def _bits(bits: float | None) -> str:
    return "all are 0" if bits is None else f"{bits:.1f}"
