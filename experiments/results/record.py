"""The record of a run: one JSON file in docs/results/, from which the page is made."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_origin

from experiments.results.costs import Costs
from golden.evaluation import Score
from golden.model_file import write_atomically

FOLDER = Path("docs/results")


class RecordError(ValueError):
    """A record that cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Rtl:
    """The accelerator beside the integer model, on some test sequences.

    Attributes:
        sequences: how many.
        accuracy: on them, by "float", "integer" and "RTL".
        compared, mismatches: events, states and outputs, and how many of them differ.
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
    """All that is known of a run.

    Attributes:
        name, model, seed: see :class:`experiments.results.experiments.Run`.
        command, commit, date, hours, versions, recipe: of the training; hours on one thread of
            some machine, of this and all fine-tuning.
        scores: on the test set, by kind: "float", "INT8" and "INT4", and "INT8 trained" and
            "INT4 trained" after quantisation-aware training.
        failures: of these trainings those that ended early, and why.
        footprints: bytes of the integer models by their bits, "8" and "4".
        costs: of the float network, on the test set.
        rtl: None where the accelerator did not run.
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

    def save(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"
        write_atomically(folder / f"{self.name}.json", text.encode())


def load(path: Path) -> Record:
    """Read and check a record.

    Raises:
        RecordError: with one sentence, for anything but an intact record.
    """
    try:
        values = json.loads(path.read_text())
        if values.get("name") != path.stem:
            raise ValueError(f"it calls itself {values.get('name')!r}")
        scores = {kind: _make(Score, score) for kind, score in values["scores"].items()}
        rtl = None if values["rtl"] is None else _make(Rtl, values["rtl"])
        parts = {"scores": scores, "costs": _make(Costs, values["costs"]), "rtl": rtl}
        if "float" not in scores:
            raise ValueError("it lacks the score of the float network")
        return _make(Record, values | parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"{path} is not a readable record ({type(error).__name__}: {error}): "
            f"restore it, or delete it and run its training again"
        ) from None


def load_all(folder: Path) -> dict[str, Record]:
    """The records of a folder by their names.

    Raises:
        RecordError: with one sentence; there are none, or one cannot be read.
    """
    records = {path.stem: load(path) for path in sorted(folder.glob("*.json"))}
    if not records:
        raise RecordError(f"{folder} holds no records: run in the root of the repository")
    return records


def _make(kind: Any, values: dict[str, Any]) -> Any:
    """A dataclass from JSON: as many fields, numbers where there are to be numbers."""
    for field in fields(kind):
        value = values[field.name]
        if field.type in (int, float) and not isinstance(value, int | float):
            raise ValueError(f"{field.name} is {value!r} where a number was expected")
        if get_origin(field.type) is dict and not isinstance(value, dict):
            raise ValueError(f"{field.name} is {value!r} where an object was expected")
        if field.type == tuple[float, ...]:
            values = values | {field.name: tuple(map(float, value))}
    return kind(**values)
