"""A padded batch of a float network equals each sequence alone, with its gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor

from golden.cells import CELLS
from golden.evaluation import score_network
from golden.network.network import Network
from golden.network.word_network import WordNetwork
from golden.objective import CLASSES
from golden.tasks import Split
from tests.helpers import reference
from tests.helpers.streams import generator

LENGTHS = [4, 9, 1, 9, 6]
READOUTS = ["mean", "last", "steps"]


@pytest.fixture(autouse=True)
def seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def padded(*shape: int, value: float = np.nan) -> Tensor:
    """Random sequences (N, T, C) with ``value`` in the padding."""
    x = torch.randn(len(LENGTHS), max(LENGTHS), *shape, dtype=torch.float64)
    x[torch.arange(x.shape[1]) >= torch.tensor(LENGTHS)[:, None]] = value
    return x


def gradients(network) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    return found


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_padded_batch_equals_each_sequence_alone(cell, readout):
    network = Network(3, 5, 4, 2, cell=cell, readout=readout, dtype=torch.float64)
    x = padded(3).requires_grad_()
    outputs, events, state = network.run(x, lengths=torch.tensor(LENGTHS))
    assert state is None
    weights = torch.randn_like(outputs)
    if readout == "steps":
        weights[torch.arange(9) >= torch.tensor(LENGTHS)[:, None]] = 0
    (outputs * weights).sum().backward()
    dx, found = x.grad, gradients(network)
    assert len(found) == len(list(network.parameters()))

    total = dict.fromkeys(found, 0)
    for n, length in enumerate(LENGTHS):
        alone = x.detach()[n : n + 1, :length].requires_grad_()
        expected, expected_events, _ = network.run(alone)
        per_step = slice(length) if readout == "steps" else slice(None)
        assert torch.allclose(outputs[n][per_step], expected[0], atol=1e-12)
        for y, z in zip(events, expected_events, strict=True):
            assert torch.allclose(y[n, :length], z[0], atol=1e-12)
            assert not y[n, length:].any()
        (expected[0] * weights[n][per_step]).sum().backward()
        assert torch.allclose(dx[n, :length], alone.grad[0], atol=1e-12)
        assert not dx[n, length:].any()
        total = {name: total[name] + grad for name, grad in gradients(network).items()}
    for name, grad in found.items():
        assert torch.allclose(grad, total[name], atol=1e-11), name


@pytest.mark.parametrize("readout", READOUTS)
def test_outputs_and_gradients_are_the_references_sequence_by_sequence(readout):
    """The reference is NumPy, and sees no padding."""
    network = Network(3, 6, 2, readout=readout, dtype=torch.float64)
    egru, x = network.egru, padded(3)
    outputs = network(x, lengths=torch.tensor(LENGTHS))
    weights = torch.randn_like(outputs)
    real = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
    if readout == "steps":
        weights = weights * real[..., None]
    (outputs * weights).sum().backward()

    values = [p.detach().numpy() for p in egru.layer_parameters(0)]
    parameters = reference.Parameters(*values[:4], values[4].clip(0, 1))
    matrix, bias = (p.detach().numpy() for p in network.readout.parameters())
    total = [np.zeros_like(value) for value in values]
    for n, length in enumerate(LENGTHS):
        rest = np.zeros((1, 6))
        y, _, tape = reference.forward(parameters, x[n, :length, None].numpy(), rest, rest)
        read = {"mean": y.mean(0), "last": y[-1], "steps": y[:, 0]}[readout]
        found = outputs[n, :length] if readout == "steps" else outputs[n]
        assert np.allclose(found.detach().numpy(), read @ matrix.T + bias, atol=1e-12)
        dread = weights[n].numpy() @ matrix
        dy = np.zeros((length, 1, 6))
        if readout == "mean":
            dy[:] = dread / length
        elif readout == "last":
            dy[-1] = dread
        else:
            dy[:, 0] = dread[:length]
        shape = egru.surrogate_height, egru.surrogate_width
        grad, *_ = reference.backward(parameters, tape, dy, rest, *shape)
        for sum_, name in zip(total, grad.__dataclass_fields__, strict=True):
            sum_ += getattr(grad, name)
    for parameter, expected in zip(egru.layer_parameters(0), total, strict=True):
        assert np.abs(expected).max() > 0
        assert np.allclose(parameter.grad.numpy(), expected, atol=1e-11)


@pytest.mark.parametrize("make", [
    lambda cell: Network(3, 5, 4, cell=cell, readout="steps"),
    lambda cell: WordNetwork(3, 4, 5, cell=cell),
])  # fmt: skip
@pytest.mark.parametrize("cell", CELLS)
def test_symbols_in_the_padding_have_no_effect(cell, make):
    network = make(cell).eval()
    x = torch.randint(0, 3, (5, 9))
    real = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
    found, events, _ = network.run(x.masked_fill(~real, -7), lengths=torch.tensor(LENGTHS))
    expected, *_ = network.run(x)
    assert torch.allclose(found[real], expected[real], atol=1e-6)
    assert all(not y[~real].any() for y in events)


@pytest.mark.parametrize("readout", READOUTS)
def test_a_score_is_the_mean_over_real_targets_and_steps(readout):
    network = Network(3, 5, 4, readout=readout, dtype=torch.float64)
    rng = generator(1)
    targets = rng.integers(0, 4, (5, 9)) if readout == "steps" else rng.integers(0, 4, 5)
    split = Split(padded(3).numpy(), targets, np.array(LENGTHS))
    score = score_network(network, split, stream=False)
    losses, right, fired = [], [], 0
    for n, length in enumerate(LENGTHS):
        x = torch.from_numpy(split.inputs[n : n + 1, :length])
        outputs, events, _ = network.run(x)
        wanted = torch.from_numpy(np.atleast_1d(targets[n])[:length])
        outputs = outputs.flatten(0, -2)
        losses += torch.nn.functional.cross_entropy(outputs, wanted, reduction="none").tolist()
        right += (outputs.argmax(-1) == wanted).tolist()
        fired += int(events[0].count_nonzero())
    assert score.loss == pytest.approx(np.mean(losses), rel=1e-9)
    assert (score.metric, score.targets) == (np.mean(right), len(losses))
    assert score.activity == (fired / (sum(LENGTHS) * 5),)
    assert CLASSES.scored(split.targets).sum() == len(losses)
