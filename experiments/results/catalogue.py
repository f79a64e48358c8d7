"""The experiments of docs/results.md. The tasks' recipes define how they are trained."""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from golden.recipe import Recipe
from golden.tasks import Task, configure


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A task with options, and the models that are trained on it.

    Attributes:
        name: prefix of its runs, and name of its file of records.
        title: heading of its section.
        task: name of the task.
        seeds: number of seeds, from 0, by model.
        cheap: whether ``egru results`` trains it by default.
        options: options of ``egru train`` other than the cell and the seed.
        data: file or folder in the folder of all data; None if the task needs none.
        score: quantity that is compared: the share of correct answers, or the loss in nats.
        tuned: epochs of quantisation-aware training of an EGRU; 0 if they take too long.
        targets: target activities of further EGRUs, which show what fewer events cost.
        rtl: whether the accelerator runs it.
        why_no_rtl: what the page states if it does not.
        published: results of others, with their conditions.
    """

    name: str
    title: str
    task: str
    seeds: dict[str, int]
    cheap: bool
    options: dict[str, Any] = field(default_factory=dict)
    data: str | None = None
    score: Literal["accuracy", "loss"] = "accuracy"
    tuned: int = 20
    targets: tuple[float, ...] = ()
    rtl: bool = False
    why_no_rtl: str = "not run"
    published: str

    def runs(self) -> list["Run"]:
        runs = [Run(self, model, seed) for model, n in self.seeds.items() for seed in range(n)]
        return runs + [Run(self, "egru", 0, target) for target in self.targets]


@dataclass(frozen=True)
class Run:
    """One training, and all measurements of its model.

    ``target`` replaces the recipe's target activity.
    """

    experiment: Experiment
    model: str
    seed: int
    target: float | None = None

    @property
    def name(self) -> str:
        name = f"{self.experiment.name}-{self.model}-{self.seed}"
        return name if self.target is None else f"{name}-at-{self.target}"

    @property
    def first(self) -> bool:
        """Whether it is the EGRU that gets every measurement."""
        return self.model == "egru" and self.seed == 0 and self.target is None

    @property
    def rtl(self) -> bool:
        return self.experiment.rtl and self.first

    @property
    def recipe(self) -> Recipe:
        """The recipe that ``egru train`` makes from this run's options."""
        return replace(
            self.task(None).recipe_for(self.model),
            seed=self.seed,
            **_among(self._options, fields(Recipe)),
        )

    def is_of(self, recorded: dict[str, Any]) -> bool:
        """Whether a recorded recipe is this run's.

        Fields that it lacks had their defaults. Choices of another cell may differ.
        """
        recipe, task = self.recipe, self.task(None)
        idle = {name for name in asdict(recipe) if recipe.unmet(name, task)}
        both = asdict(Recipe()) | recorded, asdict(recipe)
        earlier, now = ({k: v for k, v in r.items() if k not in idle} for r in both)
        return earlier == now

    def task(self, data: Path | None) -> Task:
        """The task, with its files in the folder ``data`` if it needs any."""
        found = configure(self.experiment.task)
        return configure(
            self.experiment.task,
            data=self.data(data),
            **_among(self._options, fields(found)),
        )

    def data(self, folder: Path | None) -> Path | None:
        """Path of its data in the folder of all data; None without data or without a folder."""
        if folder is None or self.experiment.data is None:
            return None
        return folder / self.experiment.data

    def options(self) -> list[str]:
        """Options of ``egru train``, as words of a command line."""
        recipe = _among(self._options, fields(Recipe))
        words = []
        for name, value in {"cell": self.model, "seed": self.seed, **recipe}.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        for name, value in self._options.items():
            words += [] if name in recipe else ["--option", f"{name}={value}"]
        return words

    @property
    def _options(self) -> dict[str, Any]:
        changed = {} if self.target is None else {"target_activity": self.target}
        return self.experiment.options | changed


def _among(options: dict[str, Any], known) -> dict[str, Any]:
    return {field.name: options[field.name] for field in known if field.name in options}


EXPERIMENTS = (
    Experiment(
        name="delay-copy",
        title="Delayed copy",
        task="delay-copy",
        seeds={"egru": 3, "gru": 3, "lstm": 3},
        cheap=True,
        tuned=3,
        rtl=True,
        published="EGRU 100 % of the bits (2 units, continuous time; the paper's first version)",
    ),
    Experiment(
        name="mnist1d",
        title="MNIST-1D",
        task="mnist1d",
        seeds={"egru": 3, "gru": 3, "lstm": 3},
        cheap=False,
        rtl=True,
        published="GRU 91 %, CNN 94 %, humans 96 % (authors of the data; same 4,000 training "
        "and 1,000 test curves, other sizes and training)",
    ),
    Experiment(
        name="digits",
        title="Spoken digits, log-mel frames",
        task="digits",
        seeds={"egru": 3, "gru": 3, "lstm": 3},
        cheap=True,
        options={"encoding": "logmel"},
        data="fsdd.zip",
        rtl=True,
        published="bidirectional LSTM about 96 % (hobby projects, secondhand; other features)",
    ),
    Experiment(
        name="digits-events",
        title="Spoken digits, events",
        task="digits",
        seeds={"egru": 3, "gru": 3, "lstm": 3},
        cheap=True,
        options={"encoding": "events"},
        data="fsdd.zip",
        rtl=True,
        published="none with this encoding; see the log-mel frames above",
    ),
    Experiment(
        name="smnist-rows",
        title="MNIST by rows, 10,000 training images",
        task="smnist",
        seeds={"egru": 3, "gru": 3, "lstm": 3},
        cheap=True,
        options={"scan": "rows"},
        targets=(0.03, 0.06),
        data="mnist",
        rtl=True,
        published="none by rows with 10,000 training images",
    ),
    Experiment(
        name="smnist-pixels",
        title="MNIST by pixels, 10,000 training images",
        task="smnist",
        seeds={"egru": 1, "gru": 1, "lstm": 1},
        cheap=False,
        options={"scan": "pixels"},
        data="mnist",
        tuned=6,
        published="GRU 98.8 %, EGRU 98.3 % at 72.1 % activity sparsity (590 units, all 60,000 "
        "training images; the paper's first version)",
    ),
    Experiment(
        name="charlm",
        title="Characters of tinyshakespeare",
        task="charlm",
        seeds={"egru": 3, "gru": 3, "lstm": 3},
        cheap=False,
        data="tinyshakespeare.txt",
        score="loss",
        why_no_rtl="fits no preset",
        published="transformers 1.88 and 1.47 nats (nanoGPT's small configurations for CPU and "
        "GPU, secondhand; validation loss, same 90/10 split)",
    ),
)
