"""``egru cost --search`` and ``--sweep``: many configurations, many models."""

from collections.abc import Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boards import Board
from egru_cli import pareto, sweep
from egru_cli.console import console, results
from egru_cli.pareto import Row
from egru_cli.progress import progress
from egru_cli.sim import choose
from egru_cli.workers import workers
from egru_hw.contract.image import build_image
from egru_hw.cost import search
from egru_hw.cost.area import variants
from egru_hw.cost.search import Candidate
from golden import output
from golden.integer import IntegerEGRU
from golden.model_file import ModelFile
from golden.tasks import Split, Task, of_model
from golden.tasks.checks import check_model
from sim.report import write_json

Scored = dict[str, tuple[ModelFile, dict[str, float]]]
"""Models and their scores, by name."""


@dataclass(frozen=True)
class Exploration:
    """What to compare.

    Attributes:
        model: name of the model.
        file: its file.
        data: files of its task, if it reads any.
        sequences, seed: of test sequences; see :func:`egru_cli.sim.choose`.
        board: the board.
        candidate: the only configuration; None for all presets and the grid.
        axes: what to train the model with, as NAME=VALUE,VALUE; empty for the model as it is.
        out: folder to write to.
    """

    model: str
    file: ModelFile
    data: Path | None
    sequences: int | None
    seed: int
    board: Board
    candidate: Candidate | None
    axes: Sequence[str]
    out: Path

    @property
    def trained(self) -> Path:
        """What is known of the trained models so far, as JSON."""
        return self.out / "sweep.json"

    def run(self, jobs: int | None, cluster: str | None) -> None:
        """Compute the table, print it, and write it and its plot; see :func:`workers`.

        Raises:
            ValueError: a model or an axis is not valid, a model fits nothing, or a training failed;
                the others are compared nevertheless.
        """
        report, figure = self.out / "cost.json", self.out / "cost.png"
        output.check(report, figure, self.trained)
        task = of_model(self.file.path, self.file.config, self.data)
        check_model(task, self.file.config, self.file.network_config)
        split = choose(task, self.sequences, self.seed)
        with workers(jobs, cluster) as pool:
            models, failures = self._models(task, pool)
            rows = self._rows(models, failures, split, pool)
        facts = {
            "board": self.board.name,
            "clock_mhz": self.board.frequency,
            "sequences": len(split.inputs),
            "seed": self.seed,
            "rows": pareto.facts(rows),
            "failed": failures,
        }
        write_json(facts, report)
        pareto.plot(rows, figure)
        title = f"{self.model} on {self.board.name}, {self.board.frequency:g} MHz"
        pareto.print_rows(rows, title, results)
        self._propose("preset", [row for row in rows if row.point.candidate.preset])
        self._propose("configuration", rows)
        console.print(f"wrote {report}, {figure}")
        if failures:
            listed = ", ".join(f"{name} ({why})" for name, why in failures.items())
            raise ValueError(f"not all models could be compared: {listed}")

    def _propose(self, what: str, rows: Sequence[Row]) -> None:
        """The smallest and the fastest of ``rows``, if there are any."""
        for best, choose_row in (("smallest", pareto.smallest), ("fastest", pareto.fastest)):
            if rows:
                row = choose_row(rows)
                point, model = row.point, f" for {row.model}" if self.axes else ""
                results.print(
                    f"{best} {what}: {point.candidate} on {self.board.name} {point.variants[0]}, "
                    f"{point.cycles_per_step:.1f} cycles per step{model}"
                )

    def _models(self, task: Task, pool: Executor) -> tuple[Scored, dict[str, str]]:
        """The models, and why others are missing, by name."""
        if not self.axes:
            return {self.model: (self.file, {})}, {}
        from golden.training.tuning import recipe_of

        points = sweep.settings(self.axes, recipe_of(self.file), task)
        with progress() as show:

            def report(found: sweep.Models, total: int) -> None:
                show(f"trained {len(found)} of {total}", len(found) / total)
                write_json({name: _result(model) for name, model in found.items()}, self.trained)

            found = sweep.train(points, task, self.data, self.out, pool, report)
        failures = {n: str(f) for n, f in found.items() if isinstance(f, sweep.TrainingFailed)}
        models = {n: (f, _scores(f)) for n, f in found.items() if isinstance(f, ModelFile)}
        return models, failures

    def _rows(
        self, models: Scored, failures: dict[str, str], split: Split, pool: Executor
    ) -> list[Row]:
        """All models on all configurations that hold them; adds others to ``failures``."""
        parts = variants(self.board.name)
        futures: dict[Any, tuple[str, dict[str, float]]] = {}
        for name, (file, scores) in models.items():
            integer = file.twin()
            try:
                tried = self._candidates(integer)
            except ValueError as error:
                failures[name] = str(error)
                continue
            result = integer.run(integer.quantize_inputs(split.inputs), lengths=split.lengths)
            for candidate in tried:
                future = pool.submit(
                    search.evaluate, candidate, integer, result, self.board.frequency, parts
                )
                futures[future] = name, scores
        if not futures:
            raise ValueError(next(iter(failures.values())))
        with progress() as show:
            for done, _ in enumerate(as_completed(futures)):
                show("computing costs", done / len(futures))
        return [Row(name, future.result(), scores) for future, (name, scores) in futures.items()]

    def _candidates(self, integer: IntegerEGRU) -> list[Candidate]:
        """``ValueError`` if there is none that holds the model."""
        if self.candidate:
            build_image(integer, self.candidate.config)
            return [self.candidate]
        if found := search.candidates(integer, variants(self.board.name)):
            return found
        raise ValueError(f"no preset or configuration on {self.board.name} holds the model")


def _result(model: ModelFile | sweep.TrainingFailed) -> dict[str, Any]:
    return _scores(model) if isinstance(model, ModelFile) else {"failed": str(model)}


def _scores(file: ModelFile) -> dict[str, float]:
    """The integer model's metric and mean activity on the test set, as the training recorded."""
    found, metric = file.config["results"], file.objective.metric
    activity = float(np.mean([layer[-1] for layer in found["activity"]]))
    return {metric: found[metric][-1], "activity": activity}
