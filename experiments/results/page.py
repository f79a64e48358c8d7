"""docs/results.md, generated from the records."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean

from experiments.results import figure
from experiments.results.catalogue import EXPERIMENTS, Experiment, Run
from experiments.results.record import Record
from experiments.results.run import RTL_SEQUENCES, TOLERANCE
from golden import output
from golden.cells import CELLS
from golden.evaluation import Score

PAGE = Path("docs/results.md")
FIGURE = Path("docs/results.svg")
NAMES = {cell.name: cell.title for cell in CELLS.values()}
KINDS = {
    "float": "float",
    "INT8": "INT8",
    "INT8 trained": "INT8, fine-tuned",
    "INT4": "INT4",
    "INT4 trained": "INT4, fine-tuned",
}
NOTHING = "–"

TOLERATED = f"{100 * TOLERANCE[8]['accuracy']:.1f} points or {TOLERANCE[8]['loss']} nats"

HEAD = f"""\
<!-- Written by `make results` from experiments/records/*.json; changes made here will be lost. -->
# Results

On every task, an EGRU is trained, and for comparison PyTorch's GRU and LSTM with the same number of
units. They use the same recipe unless the task has a better one for them. All figures are for the
test set: the mean over the seeds, with minimum and maximum in brackets. INT8 and INT4 are integer
models with weights of 8 and 4 bits. They are either rounded after training or *fine-tuned*: trained
for some more epochs with the integer model as the forward pass (`egru tune`). A model is fine-tuned
to 8 bits if rounding loses more than {TOLERATED}. For every task except the
language model, at least the first seed is fine-tuned to 4 bits. The column INT8 uses a seed's
fine-tuned model if there is one. The column INT4 uses only fine-tuned models, or the rounded ones
if there are none. RTL is the accelerator's Verilog,
simulated on {RTL_SEQUENCES} test sequences of the first seed.
"""

DEFINITIONS = """\
## How operations are counted
The definitions follow [NeuroBench](https://neurobench.ai), and `tests/experiments/test_costs.py`
checks our counts against NeuroBench's. *Footprint* is the size of all parameters in bytes.
*Activation sparsity* is the share of zeros among all layer outputs. *Synaptic operations* are
products of weights and values: dense operations are all of them, and effective operations are those
in which neither factor is zero. Both include three products of gates and states per unit and step.
Operations are accumulates (AC) if all values are -1, 0 or 1, as with one-hot symbols, and
multiply-accumulates (MAC) otherwise. A read-out with one result per sequence is computed once,
after the last step. All counts are per step.

*Activity* is the share of units and steps with an event. *Backward sparsity* is the share of units
and steps that are silent and outside the surrogate's window. For these, gradients through R
and from the layer above are neither needed nor computed.
"""


def write(records: dict[str, Record]) -> None:
    """Write the page and its figure."""
    output.write(PAGE, text(records))
    figure.draw(EXPERIMENTS, records, FIGURE)


def text(records: dict[str, Record]) -> str:
    groups = [Group(experiment, records) for experiment in EXPERIMENTS]
    parts = [
        HEAD,
        _summary(groups),
        f"![Accuracy against effective operations per step, all models]({FIGURE.name})\n",
        "## What falls short\n" + "\n".join(f"* {s}" for g in groups for s in g.shortfalls()),
        "\n\n".join(map(_section, groups)),
        DEFINITIONS,
        _trainings(groups),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


@dataclass(frozen=True)
class Group:
    """An experiment, and the records of all experiments."""

    experiment: Experiment
    records: dict[str, Record]

    def of(self, model: str) -> list[Record]:
        """The records of a model, by seed."""
        runs = [r for r in self.experiment.runs() if r.model == model and r.target is None]
        return [self.records[run.name] for run in runs if run.name in self.records]

    def rtl(self) -> Record | None:
        """The record of the run on the accelerator, if there is one."""
        return next((record for record in self.of("egru") if record.rtl), None)

    def scores(self, kind: str, model: str = "egru") -> list[Score]:
        return [r.scores[kind] for r in self.of(model) if kind in r.scores]

    def integers(self, bits: int) -> list[tuple[Score, Score]]:
        """Scores of EGRUs' integer models, each with that of its float network.

        A model that was trained with the integer model replaces the rounded one. With 4 bits
        only such models count, if there are any: usually that of the first seed.
        """
        trained, rounded = f"INT{bits} trained", f"INT{bits}"
        egru = self.of("egru")
        if bits == 4 and self.scores(trained):
            egru = [record for record in egru if trained in record.scores]
        scores = [r.scores for r in egru if rounded in r.scores]
        return [(found.get(trained, found[rounded]), found["float"]) for found in scores]

    def value(self, score: Score) -> float:
        """The quantity that the experiment compares."""
        return score.loss if self.experiment.score == "loss" else score.metric

    def shown(self, scores: list[Score]) -> str:
        form = nats if self.experiment.score == "loss" else percent
        return spread(map(self.value, scores), form)

    def worse(self, score: float, other: float) -> float:
        """By how much ``score`` is worse."""
        return score - other if self.experiment.score == "loss" else other - score

    def difference(self, value: float) -> str:
        if self.experiment.score == "loss":
            return f"{value:.4f} nats"
        return f"{100 * value:.2f} points"

    def shortfalls(self) -> list[str]:
        """Sentences on missing runs and on results that fall short."""
        title, runs = self.experiment.title, self.experiment.runs()
        found = []
        missing = [run.name for run in runs if run.name not in self.records]
        if len(missing) == len(runs):
            return [f"{title}: nothing is recorded."]
        if missing:
            found.append(f"{title}: not recorded: {', '.join(missing)}.")
        stale = [run.name for run in runs if self._is_stale(run)]
        if stale:
            found.append(f"{title}: trained by an earlier recipe: {', '.join(stale)}.")
        if not self.of("egru"):
            return found
        for record in self.of("egru"):
            found += [f"{title}: {record.name}: no {kind}: {reason}."
                      for kind, reason in record.failures.items()]  # fmt: skip
        egru = mean(map(self.value, self.scores("float")))
        others = {m: mean(map(self.value, s)) for m in ("gru", "lstm")
                  if (s := self.scores("float", m))}  # fmt: skip
        for model, other in others.items():
            if (behind := self.worse(egru, other)) > 0:
                found.append(f"{title}: EGRU is {self.difference(behind)} behind {NAMES[model]}.")
        for bits in (8, 4):
            lost = [self.worse(self.value(of_integers), self.value(of_floats))
                    for of_integers, of_floats in self.integers(bits)]  # fmt: skip
            if lost and mean(lost) > TOLERANCE[bits][self.experiment.score]:
                found.append(f"{title}: INT{bits} loses {self.difference(mean(lost))}.")
        tested = self.rtl()
        if tested and tested.rtl and tested.rtl.mismatches:
            found.append(f"{title}: {tested.rtl.mismatches:,} values of the RTL differ.")
        return found

    def _is_stale(self, run: Run) -> bool:
        record = self.records.get(run.name)
        return record is not None and not run.is_of(record.recipe)


def _summary(groups: list[Group]) -> str:
    rows = []
    for group in groups:
        egru = group.of("egru")
        effective = [(r.costs.macs + r.costs.acs) / r.costs.dense for r in egru]
        rows.append(
            [
                group.experiment.title + (", nats" if group.experiment.score == "loss" else ""),
                *(group.shown(group.scores("float", model)) for model in NAMES),
                spread(effective, percent),
                *(group.shown([found for found, _ in group.integers(bits)]) for bits in (8, 4)),
                _mismatches(group),
                group.experiment.published,
            ]
        )
    header = ["task", *NAMES.values(), "EGRU: effective / dense operations", "EGRU INT8",
              "EGRU INT4", "RTL mismatches", "published"]  # fmt: skip
    return table(header, rows)


def _mismatches(group: Group) -> str:
    record = group.rtl()
    if record is None or record.rtl is None:
        return group.experiment.why_no_rtl
    return f"{record.rtl.mismatches:,} of {record.rtl.compared:,}"


def _section(group: Group) -> str:
    experiment = group.experiment
    parts = [f"## {experiment.title}"]
    present = [model for model in NAMES if group.of(model)]
    if not present:
        return "\n".join([*parts, f"No records. Published: {experiment.published}."])
    first = group.of(present[0])[0]
    parts.append(
        f"{first.recipe['hidden_size']} units, {first.recipe['num_layers']} layer"
        f"{'s' if first.recipe['num_layers'] > 1 else ''}, {first.recipe['epochs']} epochs, "
        f"{first.scores['float'].targets:,} targets in the test set. "
        f"Published: {experiment.published}."
    )
    rows = [
        [name, *(spread(map(value, group.of(model)), form) for model in present)]
        for name, value, form in _quantities(len(first.costs.activity))
    ]
    parts += ["", table(["", *(NAMES[model] for model in present)], rows)]
    if egru := group.of("egru"):
        parts += [_bits(group), *_rtl(group.rtl())] if "INT8" in egru[0].scores else []
        parts += [_activities(group)] if experiment.targets else []
    return "\n".join(parts).rstrip("\n")


Quantity = tuple[str, Callable[[Record], float], Callable[[float], str]]


def _quantities(layers: int) -> list[Quantity]:
    def of_layer(name: str, values: Callable[[Record], tuple[float, ...]]) -> list[Quantity]:
        if layers == 1:
            return [(name, lambda record: values(record)[0], percent)]
        return [
            (f"{name}, layer {index}", partial(_at, values, index), percent)
            for index in range(layers)
        ]

    return [
        ("accuracy", lambda r: r.scores["float"].metric, percent),
        ("loss, nats", lambda r: r.scores["float"].loss, nats),
        ("parameters", lambda r: r.costs.parameters, whole),
        ("footprint, bytes", lambda r: r.costs.footprint, whole),
        *of_layer("activity", lambda r: r.costs.activity),
        ("activation sparsity", lambda r: r.costs.activation_sparsity, percent),
        *of_layer("backward sparsity", lambda r: r.costs.backward_sparsity),
        ("operations per step, dense", lambda r: r.costs.dense, whole),
        ("effective MAC per step", lambda r: r.costs.macs, whole),
        ("effective AC per step", lambda r: r.costs.acs, whole),
        ("training time in hours, one thread", lambda r: r.hours, lambda hours: f"{hours:.2f}"),
    ]


def _at(values: Callable[[Record], tuple[float, ...]], index: int, record: Record) -> float:
    return values(record)[index]


def _bits(group: Group) -> str:
    rows = []
    for kind, name in KINDS.items():
        scores, records = group.scores(kind), group.of("egru")
        if not scores:
            continue
        bits = kind[3] if kind != "float" else None
        size = records[0].footprints[bits] if bits else records[0].costs.footprint
        if kind.endswith("trained"):
            name += f" for {group.experiment.tuned} epochs"
        rows.append(
            [
                name,
                spread((s.metric for s in scores), percent),
                spread((s.loss for s in scores), nats),
                spread((mean(s.activity) for s in scores), percent),
                whole(size),
                f"{len(scores)}",
            ]
        )
    header = ["EGRU", "accuracy", "loss, nats", "activity", "footprint, bytes", "seeds"]
    return table(header, rows)


def _activities(group: Group) -> str:
    """EGRUs of the first seed by target activity, which show what fewer events cost."""
    runs = [run for run in group.experiment.runs() if run.model == "egru" and run.seed == 0]
    found = [group.records[run.name] for run in runs if run.name in group.records]
    rows = [
        [
            percent(record.recipe["target_activity"]),
            percent(mean(record.costs.activity)),
            percent(record.scores["float"].metric),
            percent(record.scores["INT8"].metric),
            percent((record.costs.macs + record.costs.acs) / record.costs.dense),
        ]
        for record in sorted(found, key=lambda record: record.recipe["target_activity"])
    ]
    header = ["activity target", "activity", "accuracy", "INT8", "effective / dense operations"]
    return table(header, rows)


def _rtl(record: Record | None) -> list[str]:
    if record is None or record.rtl is None:
        return []
    rtl = record.rtl
    accuracy = ", ".join(f"{percent(value)} {name}" for name, value in rtl.accuracy.items())
    return [
        f"RTL, on {rtl.sequences} test sequences: {rtl.mismatches:,} of {rtl.compared:,} values "
        f"differ from the integer model; accuracy {accuracy}; "
        f"{whole(rtl.macs_per_step)} multiply-accumulates and {rtl.cycles_per_step:.1f} cycles "
        f"per step.",
        "",
    ]


def _trainings(groups: list[Group]) -> str:
    recorded = [
        group.records[run.name]
        for group in groups
        for run in group.experiment.runs()
        if run.name in group.records
    ]
    rows = [
        [record.name, f"`{record.command}`", record.commit, record.date, f"{record.hours:.2f}",
         record.versions["torch"]]
        for record in recorded
    ]  # fmt: skip
    hours = sum(record.hours for record in recorded)
    head = (
        f"## Training runs\n{len(rows)} runs, {hours:.1f} hours on one thread, including "
        f"quantisation-aware training."
    )
    return "\n".join(
        [head, "", table(["run", "command", "commit", "date", "hours", "torch"], rows)]
    )


def spread(values: Iterable[float], form: Callable[[float], str]) -> str:
    """The mean, followed by the minimum and maximum if they differ when formatted."""
    found = list(values)
    if not found:
        return NOTHING
    low, high = form(min(found)), form(max(found))
    if low == high:
        return form(mean(found))
    return f"{form(mean(found))} ({low.removesuffix(' %')} … {high.removesuffix(' %')})"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def nats(loss: float) -> str:
    return f"{loss:.3f}"


def whole(count: float) -> str:
    return f"{count:,.0f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
