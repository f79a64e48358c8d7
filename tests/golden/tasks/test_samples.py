"""Datasets and iterables as tasks: the same as the same sequences in a file."""

import numpy as np
import pytest
import torch

from golden import load_model
from golden.recipe import Recipe
from golden.tasks import DataError, configure, of_samples
from golden.training import Files, build
from tests.helpers.streams import generator


def samples(count, seed, per_step=False):
    rng = generator(seed)
    for label in range(count):
        steps = int(rng.integers(3, 8))
        inputs = rng.normal(size=(steps, 2)) + label % 2
        yield inputs, np.full(steps, label % 2) if per_step else label % 2


class Dataset(torch.utils.data.Dataset):
    """Not iterable, and of tensors."""

    def __init__(self, pairs):
        self.pairs = [(torch.tensor(x), torch.tensor(y)) for x, y in pairs]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


@pytest.mark.parametrize("per_step", [False, True])
def test_a_dataset_an_iterable_and_a_file_give_the_same_task(tmp_path, per_step):
    train, test = (list(samples(count, seed, per_step)) for count, seed in ((30, 1), (10, 2)))
    lengths = np.array([len(x) for x, _ in train + test])
    inputs = np.zeros((40, lengths.max(), 2))
    targets = np.zeros((40, lengths.max()) if per_step else 40, int)
    for n, (x, y) in enumerate(train + test):
        inputs[n, : len(x)] = x
        targets[(n, slice(len(x))) if per_step else n] = y
    split = ["train"] * 30 + ["test"] * 10
    path = tmp_path / "my.npz"
    np.savez(path, inputs=inputs, targets=targets, lengths=lengths, split=split)
    expected = configure("own-data", path)
    for task in (of_samples(Dataset(train), Dataset(test)), of_samples(iter(train), test)):
        assert task.input_scaling == expected.input_scaling
        assert (task.readout, task.classes) == (expected.readout, 2)
        for part in ("everything", "train", "test"):
            found, wanted = getattr(task, part)(), getattr(expected, part)()
            assert np.array_equal(found.inputs, wanted.inputs)
            assert np.array_equal(found.targets, wanted.targets)
            assert np.array_equal(found.lengths, wanted.lengths)


def test_a_model_is_trained_on_samples_and_used_with_a_file(tmp_path):
    task = of_samples(samples(40, 3), samples(10, 4))
    path = tmp_path / "mine.safetensors"
    build(task, Recipe(hidden_size=4, epochs=2), Files(path))
    model = load_model(path)
    assert model.config["task"] == "own-data"
    assert model.scaling == task.input_scaling
    assert model.predict(np.ones((1, 5, 2))).classes.shape == (1,)


@pytest.mark.parametrize(
    ("train", "sentence"),
    [
        ([], "samples, train: there are no samples"),
        ([1, 2], "samples, train, sample 0: expected a pair of inputs and target, not int"),
        (
            [(np.ones((3, 2)), 0), (np.ones((3, 1)), 1)],
            r"inputs of sample 1 have the shape \(3, 1\)",
        ),
        ([(np.full((3, 2), np.nan), 0), (np.ones((3, 2)), 1)], r"inputs\[0, 0, 0\] is nan"),
        ([(np.ones((3, 2)), 0)] * 3, "targets of fewer than two classes"),
        ([(np.ones((3, 2)), "a"), (np.ones((3, 2)), "b")], "targets must be whole numbers"),
    ],
)
def test_samples_that_are_none_rejected(train, sentence):
    with pytest.raises(DataError, match=sentence):
        of_samples(train, [(np.ones((3, 2)), 0)])
