"""Training on sequences of different lengths: padding is neither seen nor scored."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from golden.cells import CELLS
from golden.evaluation import evaluate, score_integer, score_network
from golden.quantization.quantize import quantize
from golden.recipe import Recipe
from golden.tasks import Split, Task
from golden.training import Files, calibration, train
from golden.training.batches import Batches
from golden.training.loop import _activity, make_network
from tests.helpers.toy import equal, weights

RECIPE = Recipe(hidden_size=6, epochs=2, batch_size=30, learning_rate=0.02, start_activity=0.05,
                target_activity=0.05)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Lengths(Task):
    """Two classes told apart by their sign, in sequences of 1 to 7 steps."""

    kind: str = "mean"
    padding: float = float("nan")

    name = "lengths"
    input_size = 2
    classes = 2
    recipe = RECIPE

    @property
    def readout(self):
        return self.kind

    def everything(self):
        return self._make(0, 31)

    def test(self):
        return self._make(1, 20)

    def augment(self, inputs, rng):
        return inputs + rng.normal(0, 0.1, inputs.shape).astype(np.float32)

    def _make(self, seed, count):
        rng = np.random.default_rng(seed)
        lengths, labels = rng.integers(1, 8, count), np.arange(count) % 2
        x = (rng.normal(size=(count, 7, 2)) + (2 * labels - 1)[:, None, None]).astype(np.float32)
        x[np.arange(7) >= lengths[:, None]] = self.padding
        targets = np.repeat(labels[:, None], 7, 1) if self.kind == "steps" else labels
        return Split(x, targets, lengths)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("kind", ["mean", "last", "steps"])
@pytest.mark.parametrize("cell", CELLS)
def test_an_epochs_figures_are_those_of_real_steps(tmp_path, cell, kind, monkeypatch):
    monkeypatch.setattr(Lengths, "augment", Task.augment)
    task, recipe = Lengths(kind), replace(RECIPE, cell=cell, epochs=1, batch_size=31)
    torch.manual_seed(recipe.seed)
    network = make_network(task, recipe)
    _, history = train(task, recipe, Files(tmp_path / "m.safetensors"))
    score = score_network(network, task.everything(), stream=False)
    assert history[0].loss == pytest.approx(score.loss, rel=1e-5)
    assert history[0].metric == pytest.approx(score.metric, rel=1e-5)
    assert history[0].activity == pytest.approx(score.activity[0], rel=1e-5)


def test_the_content_of_the_padding_has_no_effect_on_the_training(tmp_path):
    found = []
    for padding in (float("nan"), 1e30):
        task = Lengths("steps", padding)
        torch.manual_seed(RECIPE.seed)
        untrained = weights(make_network(task, RECIPE))
        network, _ = train(task, RECIPE, Files(tmp_path / f"{padding}.safetensors"))
        found.append(weights(network))
    assert equal(*found)
    assert not equal(found[0], untrained)


@pytest.mark.parametrize("class_weights", [None, "balanced"])
@pytest.mark.parametrize("kind", ["mean", "steps"])
def test_several_processes_share_loss_and_activity_of_a_batch(kind, class_weights):
    task, recipe = Lengths(kind), replace(RECIPE, class_weights=class_weights)
    network = make_network(task, recipe).double()
    batches = Batches(task, recipe, lambda: 0)

    def means(batch) -> tuple[float, float]:
        outputs, events, _ = network.run(batch.inputs.double(), lengths=batch.lengths)
        loss = batches.objective.loss(outputs, batch.targets)
        return loss.item(), _activity(events, batch.steps).item()

    whole = list(batches)
    shared = [list(Batches(task, recipe, lambda: 0, rank, 3)) for rank in range(3)]
    assert len(whole) == 2
    for batch, *parts in zip(whole, *shared, strict=True):
        loss, activity = means(batch)
        assert (batch.share, batch.steps_share) == (1, 1)
        found = [means(part) for part in parts]
        assert np.mean([part.share for part in parts]) == pytest.approx(1)
        weighted = [part.share * mean[0] for part, mean in zip(parts, found, strict=True)]
        assert np.mean(weighted) == pytest.approx(loss, rel=1e-12)
        weighted = [part.steps_share * mean[1] for part, mean in zip(parts, found, strict=True)]
        assert np.mean(weighted) == pytest.approx(activity, rel=1e-12)


@pytest.mark.parametrize("kind", ["mean", "last", "steps"])
def test_the_integer_models_score_is_that_of_each_sequence_alone(kind):
    task = Lengths(kind)
    network, typical = make_network(task, RECIPE), calibration(task)
    integer = quantize(network, typical.inputs, lengths=typical.lengths)
    split = task.test()
    score = score_integer(integer, task, split)
    losses, right, fired = [], [], 0
    for n, length in enumerate(split.lengths.tolist()):
        result = integer.run(integer.quantize_inputs(split.inputs[n : n + 1, :length]))
        logits = torch.from_numpy(integer.logits(result.outputs, length)).flatten(0, -2)
        wanted = torch.from_numpy(np.atleast_1d(split.targets[n])[:length])
        losses += torch.nn.functional.cross_entropy(logits, wanted, reduction="none").tolist()
        right += (logits.argmax(-1) == wanted).tolist()
        fired += np.count_nonzero(result.events[0])
    assert score.loss == pytest.approx(np.mean(losses), rel=1e-12)
    assert (score.metric, score.targets) == (np.mean(right), len(right))
    assert score.activity == (fired / (split.steps * 6),)
    assert evaluate(task, network, integer)["test_targets"] == len(right)
