"""Objectives: what is scored, and the metrics against their definitions."""

import numpy as np
import pytest
import torch

from golden.objective import CLASSES, OBJECTIVES, VALUES, Classes
from tests.helpers.streams import generator


def random_values(shape=(7, 5, 3)):
    """Outputs and targets of which some are not scored."""
    rng = generator(1)
    targets = rng.normal(3.0, [1.0, 5.0, 0.1], shape).astype(np.float32)
    outputs = targets + rng.normal(0, 0.5, shape).astype(np.float32)
    targets[rng.random(shape) < 0.3] = np.nan
    return outputs, targets


def test_r2_is_one_less_the_unexplained_share_of_the_variance_of_scored_targets():
    outputs, targets = random_values()
    errors = np.nansum(np.square(outputs - targets, dtype=float))
    mean = np.nanmean(targets, (0, 1), dtype=float)
    expected = 1 - errors / np.nansum(np.square(targets - mean))
    assert 0.5 < expected < 1
    assert VALUES.measure(np.array(VALUES.sums(outputs, targets))) == pytest.approx(expected, 1e-5)
    best = VALUES.sums(np.nan_to_num(targets), targets)
    assert VALUES.measure(np.array(best)) == 1
    constant = np.ones((4, 1), np.float32)
    assert VALUES.measure(np.array(VALUES.sums(constant, constant))) == 0  # no variance to explain


def test_the_loss_of_values_is_the_mean_squared_error_of_scored_targets():
    outputs, targets = (torch.from_numpy(a) for a in random_values())
    outputs.requires_grad_()
    loss = VALUES.loss(outputs, targets)
    assert loss.item() == pytest.approx(np.nanmean(np.square((outputs - targets).detach().numpy())))
    loss.backward()
    assert torch.equal(outputs.grad != 0, VALUES.scored(targets))  # and no gradient is NaN
    assert outputs.grad.isfinite().all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_sums_of_parts_add_up_on_arrays_and_tensors(name):
    outputs, targets = random_values()
    if name == "classes":
        targets = generator(2).integers(-1, 3, outputs.shape[:-1])
    objective = OBJECTIVES[name]
    whole = np.array(objective.sums(outputs, targets), float)
    parts = [np.array(objective.sums(outputs[s], targets[s])) for s in (slice(2), slice(2, None))]
    tensors = objective.sums(torch.from_numpy(outputs), torch.from_numpy(targets))
    assert np.allclose(sum(parts), whole, rtol=1e-5)
    assert np.allclose(torch.stack(tensors).numpy(), whole, rtol=1e-5)


def test_accuracy_is_of_scored_targets_only():
    logits = np.array([[[0.0, 1.0], [1.0, 0.0], [5.0, 0.0]]])
    assert CLASSES.measure(np.array(CLASSES.sums(logits, np.array([[0, 0, -1]])))) == 0.5


def test_the_loss_of_classes_is_the_weighted_mean_of_the_surprise_at_scored_targets():
    rng = generator(3)
    targets = rng.integers(-1, 3, (9, 4))
    logits, weights = rng.normal(0, 2, (9, 4, 3)), np.array([0.5, 2.0, 7.0])
    odds = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    surprise = -np.log(np.take_along_axis(odds, np.maximum(targets, 0)[..., None], -1))[..., 0]
    weight = np.where(targets < 0, 0, weights[targets])
    expected = (surprise * weight).sum() / weight.sum()
    weighted = Classes(weights)
    loss = weighted.loss(torch.from_numpy(logits), torch.from_numpy(targets))
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert weighted.weight(targets) == pytest.approx(weight.sum(), rel=1e-12)
    assert CLASSES.weight(targets) == (targets >= 0).sum()


def test_balanced_classes_weigh_alike_and_as_much_as_all_targets_together():
    targets = np.repeat([0, 1, 3, -1], [50, 5, 1, 9])
    balanced = Classes.balanced(targets, 4)
    each = [balanced.weight(targets[targets == label]) for label in (0, 1, 3)]
    assert each == pytest.approx([14, 14, 14])
    assert balanced.weight(np.repeat([0, 1, 2, 3], 5)) > 0


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (np.full((4, 2), np.nan, np.float32), "must not all be NaN: none is scored"),
        (np.full((4, 2), np.inf, np.float32), "must be finite, or NaN where none is scored"),
        (np.zeros((4, 2)), "must be float32 of shape (4, 2), not float64 of shape (4, 2)"),
        (np.zeros((4, 3), np.float32), "must be float32 of shape (4, 2), not float32"),
    ],
)
def test_arrays_that_are_no_values_rejected(targets, sentence):
    with pytest.raises(ValueError, match=r"^the targets must") as error:
        VALUES.check("the targets", targets, (4,), 2)
    assert sentence in str(error.value)
    VALUES.check("the targets", np.array([[0, np.nan]] * 4, np.float32), (4,), 2)
