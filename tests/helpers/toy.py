"""A task that is learnt in a second, and the training commands."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from golden.recipe import Recipe
from golden.tasks import Split, Task
from tests.helpers.command import invoke

RECIPE = Recipe(hidden_size=5, epochs=6, target_activity=0.18)


@dataclass(frozen=True, eq=False)
class Toy(Task):
    """Two classes told apart by their sign."""

    name = "toy"
    input_size = 2
    classes = 2
    recipe = RECIPE

    def everything(self):
        return self._make(0, 120)

    def test(self):
        return self._make(1, 50)

    def augment(self, inputs, rng):
        return inputs + rng.normal(0, 0.1, inputs.shape).astype(np.float32)

    @staticmethod
    def _make(seed, count):
        rng = np.random.default_rng(seed)
        labels = np.arange(count) % 2
        x = rng.normal(size=(count, 6, 2)) + (2 * labels - 1)[:, None, None]
        return Split(x.astype(np.float32), labels)


def at_batch(number: int, act) -> Toy:
    """A Toy that calls ``act`` when that batch is drawn."""
    batches = iter(range(1000))

    class Acting(Toy):
        def augment(self, inputs, rng):
            if next(batches) == number:
                act()
            return super().augment(inputs, rng)

    return Acting()


def run(*words) -> tuple[int, str]:
    """Exit status and output of a command, without boxes and line breaks."""
    result = invoke(*words)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, re.sub(r"[\s│╭╮╰╯─]+", " ", result.output)


def toy_run(out: Path, *words) -> tuple[int, str]:
    return run("train", "toy", "--hidden-size", 4, "--out", out, *words)


def names(folder: Path) -> set[str]:
    """The names of what is in a folder."""
    return {path.name for path in folder.iterdir()}


def weights(network) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def course(out: Path) -> list[dict[str, str]]:
    """The epochs in a training's CSV file, without their durations."""
    with out.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


def equal(first: dict, second: dict) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())
