"""Records of runs: one JSON file per experiment in experiments/records/, for docs/results.md."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_origin

from experiments.results.costs import Costs
from golden import output
from golden.evaluation import Score

FOLDER = Path("experiments/records")


class RecordError(ValueError):
    """A record that cannot be read; the message names the remedy."""


@dataclass(frozen=True)
class Rtl:
    """The accelerator compared with the integer model on some test sequences.

    Attributes:
        sequences: their number.
        accuracy: on these sequences, of "float", "integer" and "RTL".
        compared, mismatches: number of events, states and outputs, and of those that differ.
        cycles_per_step, macs_per_step: means.
    """

    sequences: int
    accuracy: dict[str, float]
    compared: int
    mismatches: int
    cycles_per_step: float
    macs_per_step: float


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that was measured in a run.

    Attributes:
        name, model, seed: see :class:`experiments.results.catalogue.Run`.
        command, commit, date, versions, recipe: those of the training.
        hours: time of the training and all fine-tuning on one thread.
        scores: on the test set, by kind: "float", "INT8" and "INT4", and "INT8 trained" and
            "INT4 trained" after quantisation-aware training.
        failures: reasons of the quantisation-aware trainings that failed, by kind.
        footprints: bytes of the integer models by the bits of their weights, "8" and "4".
        costs: those of the float network on the test set.
        rtl: None if the accelerator did not run.
    """

    name: str
    model: str
    seed: int
    command: str
    commit: str
    date: str
    hours: float
    versions: dict[str, str]
    recipe: dict[str, Any]
    scores: dict[str, Score]
    failures: dict[str, str]
    footprints: dict[str, int]
    costs: Costs
    rtl: Rtl | None

    def save(self, path: Path) -> None:
        """Add this record to the file ``path``, or replace the one of its name there.

        The file is replaced atomically. Threads and processes may save at the same time.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            records = load(path) if path.exists() else {}
            records[self.name] = self
            values = {name: asdict(records[name]) for name in sorted(records)}
            text = json.dumps(values, indent=2, allow_nan=False) + "\n"
            output.write(path, text)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other threads and processes from writing records to ``folder``."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def load(path: Path) -> dict[str, Record]:
    """The records in a file, checked, by their names.

    Raises:
        RecordError: the file is not readable, or a record in it is not intact.
    """
    name = "?"
    try:
        records = {}
        for name, values in json.loads(path.read_text()).items():
            records[name] = _record(name, values)
        return records
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(
            f"{path}: record {name} is not readable ({type(error).__name__}: {error}): "
            f"restore the file, or delete the record and run its training again"
        ) from None


def _record(name: str, values: dict[str, Any]) -> Record:
    if values["name"] != name:
        raise ValueError(f"its name is {values['name']!r}")
    scores = {kind: _make(Score, score) for kind, score in values["scores"].items()}
    if "float" not in scores:
        raise ValueError("the score of the float network is missing")
    rtl = None if values["rtl"] is None else _make(Rtl, values["rtl"])
    parts = {"scores": scores, "costs": _make(Costs, values["costs"]), "rtl": rtl}
    return _make(Record, values | parts)


def load_all(folder: Path) -> dict[str, Record]:
    """The records of all files in a folder, by their names.

    Raises:
        RecordError: there are none, or one cannot be read.
    """
    records: dict[str, Record] = {}
    for path in sorted(folder.glob("*.json")):
        records |= load(path)
    if not records:
        raise RecordError(f"there are no records in {folder}: run in the root of the repository")
    return records


def _make(kind: Any, values: dict[str, Any]) -> Any:
    """A dataclass from JSON, with the types of numbers, objects and tuples checked."""
    for field in fields(kind):
        value = values[field.name]
        if field.type in (int, float) and not isinstance(value, int | float):
            raise ValueError(f"{field.name} is {value!r} where a number was expected")
        if get_origin(field.type) is dict and not isinstance(value, dict):
            raise ValueError(f"{field.name} is {value!r} where an object was expected")
        if field.type == tuple[float, ...]:
            values = values | {field.name: tuple(map(float, value))}
    return kind(**values)
