"""From a training to its record, in stages. A completed stage is not repeated."""

import csv
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.commit import commit
from experiments.results.catalogue import Run
from experiments.results.costs import costs, integer_footprint
from experiments.results.record import Record, Rtl
from golden import output
from golden.evaluation import Score, has_twin, score_integer
from golden.integer import IntegerEGRU
from golden.model_file import load
from golden.network.network import Network
from golden.quantization.quantize import QuantizeConfig, quantize
from golden.training import Files, calibration

BUILD = Path("build/results")
RTL_SEQUENCES = 100
# Largest tolerated loss, by bits. 4 bits are not meant for language models.
TOLERANCE = {8: {"accuracy": 0.003, "loss": 0.01}, 4: {"accuracy": 0.01, "loss": math.inf}}
SAY_EVERY = 60.0  # seconds between two lines on the progress of a run
# mnist1d is generated with the global random generator, which parallel runs must not share.
LOADING = threading.Lock()

Say = Callable[[str], None]


class RunError(RuntimeError):
    """A stage failed; the message names it, the reason and the log."""


class Refused(RunError):
    """``egru`` rejected its input for ``reason``, a sentence: a retry would fail too."""

    def __init__(self, message: str, reason: str):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Workplace:
    """A run and the folder of its models.

    Attributes:
        run: the run.
        data: folder of all data, if there is one.
        say: receives progress messages.
        build: folder of all runs.
    """

    run: Run
    data: Path | None
    say: Say
    build: Path = BUILD

    @property
    def folder(self) -> Path:
        return self.build / self.run.name

    @property
    def model(self) -> Files:
        return Files(self.folder / "model.safetensors")

    def tuned(self, bits: int) -> Files:
        """Files of the quantisation-aware training."""
        return Files(self.folder / f"model-{bits}bit.safetensors")

    @property
    def record(self) -> Path:
        return self.folder / "record.json"

    def done(self) -> bool:
        """Whether there is a record of the run, with its present recipe."""
        return self.record.exists() and self._is_current()

    def make(self) -> Record:
        """Train, fine-tune, measure and simulate; completed stages are skipped.

        Raises:
            RunError, ValueError, OSError: a stage failed; the message is a sentence.
        """
        start = self._start()
        self._command("training", ["train", self.run.experiment.task, *self.run.options()],
                      self.model)  # fmt: skip
        file = load(self.model.model)
        network = file.network()
        assert isinstance(network, Network)
        if has_twin(network) and file.integer is None:
            raise RunError(
                f"{self.model.model} has no integer model, and {self.folder / 'log'} has the "
                f"reason: change the recipe, or delete {self.folder} to start again"
            )
        task = self.run.task(self.data)
        with LOADING:
            test, typical = task.test(), calibration(task).inputs
        report = json.loads(self.model.report.read_text())
        scores = {"float": _score(report["results"], 0)}
        footprints, failures = {}, {}
        if has_twin(network):
            scores["INT8"] = _score(report["results"], 1)
            self.say("quantising to 4 bits")
            four = quantize(network, typical, QuantizeConfig(weight_bits=4))
            scores["INT4"] = score_integer(four, task, test)
            for bits in self._widths_to_train(scores):
                kind = f"INT{bits} trained"
                try:
                    scores[kind] = self._fine_tune(bits)
                except Refused as refusal:
                    self.say(str(refusal))
                    failures[kind] = refusal.reason
            footprints = {"8": integer_footprint(_twin(self.model)),
                          "4": integer_footprint(four)}  # fmt: skip
        self.say("counting operations")
        record = Record(
            name=self.run.name,
            model=self.run.model,
            seed=self.run.seed,
            command=report["training"]["command"],
            commit=start["commit"],
            date=start["date"],
            hours=round(sum(map(_hours, self.folder.glob("*.csv"))), 5),
            versions=report["versions"],
            recipe=asdict(self.run.recipe),
            scores=scores,
            failures=failures,
            footprints=footprints,
            costs=costs(network, test, task.stream),
            rtl=self._simulate() if self.run.rtl else None,
        )
        record.save(self.record)
        return record

    def _start(self) -> dict[str, Any]:
        """Date, commit and recipe of the run's start. A run of another recipe is moved away."""
        path = self.folder / "start.json"
        if path.exists() and not self._is_current():
            aside = self.folder.with_name(f"{self.folder.name}.{time.time_ns()}")
            self.say(f"its recipe has changed: starting again; the earlier run is in {aside}")
            self.folder.rename(aside)
        if not path.exists():
            start = {
                "commit": commit(),
                "date": datetime.now(UTC).date().isoformat(),
                "recipe": asdict(self.run.recipe),
            }
            output.write(path, json.dumps(start, indent=2))
        return json.loads(path.read_text())

    def _is_current(self) -> bool:
        path = self.folder / "start.json"
        if not path.exists():
            return False
        try:
            return self.run.is_of(json.loads(path.read_text())["recipe"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RunError(f"{path} is damaged: delete {self.folder} to start again") from None

    def _widths_to_train(self, scores: dict[str, Score]) -> tuple[int, ...]:
        """8 if rounding to 8 bits loses too much, 4 for the first run of an experiment."""
        if not self.run.experiment.tuned:
            return ()
        kind = self.run.experiment.score
        if kind == "loss":
            lost = scores["INT8"].loss - scores["float"].loss
        else:
            lost = scores["float"].metric - scores["INT8"].metric
        four = self.run.first and math.isfinite(TOLERANCE[4][kind])
        return (8,) * (lost > TOLERANCE[8][kind]) + (4,) * four

    def _fine_tune(self, bits: int) -> Score:
        epochs = str(self.run.experiment.tuned)
        words = ["tune", str(self.model.model), "--weight-bits", str(bits),
                 "--epochs", epochs, "--seed", str(self.run.seed)]  # fmt: skip
        what = f"training with {bits} bits"
        self._command(what, words, self.tuned(bits))
        results = json.loads(self.tuned(bits).report.read_text())["results"]
        if len(results["loss"]) < 2:  # it failed in an earlier run, when it was quantised
            reason = "the trained network has no integer model"
            raise Refused(f"{what} failed ({reason}): see {self.folder / 'log'}", reason)
        return _score(results, 1)

    def _command(self, what: str, words: list[str], files: Files) -> None:
        """Run or resume a training, unless its model exists."""
        if files.model.exists():
            return
        words = [*words, *self._data(), "--out", str(files.model)]
        words.append("--resume" if files.checkpoint.exists() else "--overwrite")
        self._call(what, words)

    def _simulate(self) -> Rtl:
        out = self.folder / "sim"
        words = ["sim", str(self.model.model), *self._data(), "--out", str(out),
                 "--sequences", str(RTL_SEQUENCES)]  # fmt: skip
        (out / "report.json").unlink(missing_ok=True)
        # Status 1 stands for mismatches, which belong in the record.
        self._call("simulating the RTL", words, fine=(0, 1))
        try:
            report = json.loads((out / "report.json").read_text())
        except FileNotFoundError:
            raise RunError(f"the simulation wrote no report: see {self.folder / 'log'}") from None
        names = ("sequences", "accuracy", "compared", "mismatches", "cycles_per_step",
                 "macs_per_step")  # fmt: skip
        return Rtl(**{name: report[name] for name in names})

    def _data(self) -> list[str]:
        found = self.run.data(self.data)
        return [] if found is None else ["--data", str(found)]

    def _call(self, what: str, words: list[str], fine: tuple[int, ...] = (0,)) -> None:
        """Run ``egru words`` on one thread, with its output in the log.

        Raises:
            Refused: it ended with a sentence.
            RunError: it ended with any other status that is not ``fine``.
        """
        self.say(what)
        log = self.folder / "log"
        shown, line = time.monotonic(), ""
        command = [sys.executable, "-u", "-m", "egru_cli", *words]
        with (
            log.open("a") as file,
            subprocess.Popen(
                command,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            assert process.stdout
            for line in process.stdout:
                file.write(line)
                file.flush()
                if time.monotonic() - shown > SAY_EVERY:
                    shown = time.monotonic()
                    self.say(f"{what}: {line.strip()}")
        if process.returncode not in fine:
            message = f"{what} failed ({line.strip()}): see {log}"
            if process.returncode == 2 and line.startswith("error: "):  # and no traceback
                raise Refused(message, line.strip())
            raise RunError(message)


def _score(results: dict[str, Any], index: int) -> Score:
    """A score in a training's report: index 0 for the float network, 1 for the integer model."""
    activity = tuple(layer[index] for layer in results["activity"])
    loss, metric = results["loss"][index], results["accuracy"][index]
    return Score(loss, metric, activity, results["test_targets"])


def _twin(files: Files) -> IntegerEGRU:
    return load(files.model).twin()


def _hours(history: Path) -> float:
    """Hours of all epochs in a training's CSV file."""
    with history.open() as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file)) / 3600
