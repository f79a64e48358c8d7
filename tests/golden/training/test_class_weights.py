"""Rare classes, and batches in which no target is scored."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from golden.evaluation import score_network
from golden.recipe import Recipe
from golden.tasks import Split, Task
from golden.training import Files, train
from golden.training.command import train_command
from tests.helpers.toy import run

RECIPE = Recipe(hidden_size=6, epochs=8, batch_size=50, learning_rate=0.02)


@dataclass(frozen=True, eq=False)
class Rare(Task):
    """Two classes that overlap; one in ten sequences is of the second."""

    name = "rare"
    input_size = 1
    classes = 2
    recipe = RECIPE

    def everything(self):
        return self._make(0, 600)

    def test(self):
        return self._make(1, 400)

    @staticmethod
    def _make(seed, count):
        rng = np.random.default_rng(seed)
        labels = (np.arange(count) % 10 == 0).astype(np.int64)
        x = rng.normal(size=(count, 5, 1)) + labels[:, None, None]
        return Split(x.astype(np.float32), labels)


def recalls(network, split) -> list[float]:
    with torch.no_grad():
        found = network.run(torch.from_numpy(split.inputs))[0].argmax(-1).numpy()
    return [(found[split.targets == label] == label).mean() for label in (0, 1)]


def test_balanced_weights_find_a_rare_class_at_the_price_of_the_frequent_one(tmp_path):
    task = Rare()
    plain, _ = train(task, RECIPE, Files(tmp_path / "plain"))
    recipe = replace(RECIPE, class_weights="balanced")
    balanced, _ = train(task, recipe, Files(tmp_path / "balanced"))
    before, after = recalls(plain, task.test()), recalls(balanced, task.test())
    assert after[1] > before[1] + 0.2
    assert after[0] < before[0]
    assert min(after) > 0.6
    # Scores have no weights: the weighted network's loss is worse, as it expects the rare class.
    scores = [score_network(n, task.test(), stream=False).loss for n in (plain, balanced)]
    assert scores[0] < scores[1]
    assert train_command(task, recipe) == "egru train rare --class-weights balanced"


class Unscored(Rare):
    """Most sequences have no target, and so do some batches."""

    def everything(self):
        split = self._make(0, 600)
        split.targets[np.arange(600) % 60 > 1] = -1
        return split


@pytest.mark.parametrize("class_weights", [None, "balanced"])
def test_a_batch_without_a_scored_target_does_no_harm(tmp_path, class_weights):
    recipe = replace(RECIPE, batch_size=10, epochs=1, class_weights=class_weights)
    network, history = train(Unscored(), recipe, Files(tmp_path / "a"))
    assert np.isfinite(history[0].loss)
    assert all(p.isfinite().all() for p in network.parameters())


def test_weights_of_classes_are_refused_where_there_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "values.csv").write_text(
        "sequence,step,x,target\n" + "".join(f"{n},0,{n},{n / 3}\n" for n in range(30))
    )
    code, output = run("train", "--data", "values.csv", "--class-weights", "balanced")
    assert code == 2
    assert "--class-weights has no effect without a TASK with classes: leave it out" in output
    assert not (tmp_path / "runs").exists()
