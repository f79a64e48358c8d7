"""Quantisation of networks for sequences of different lengths: padding has no effect."""

import numpy as np
import pytest
import torch

from golden import Network, QuantizeConfig, QuantizedNetwork, quantize
from golden.integer.numerics import EVENT, STATE
from golden.quantization.quantize import compare
from golden.quantization.scales import choose_scales
from golden.readouts import READOUTS
from tests.golden.quantization.test_quantized import integers
from tests.helpers.streams import generator

LENGTHS = np.array([4, 9, 1, 9, 6])
REAL = np.arange(9) < LENGTHS[:, None]


def make(readout: str, **options) -> tuple[Network, np.ndarray]:
    """A network, and inputs (5, 9, 3) with NaN in the padding."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = Network(3, 7, 4, 2, readout=readout, **options)
    x = generator(1).normal(size=(5, 9, 3))
    x[~REAL] = np.nan
    return network, x


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_events_states_and_logits_of_a_padded_batch_are_the_integer_models(readout, dtype):
    network, x = make(readout, dtype=dtype)
    quantized = QuantizedNetwork(network, x, QuantizeConfig(weight_bits=4), LENGTHS)
    integer, given = quantized.integer(), torch.from_numpy(x).to(dtype)
    logits, events, state = quantized.run(given, lengths=torch.from_numpy(LENGTHS))
    raw = integer.quantize_inputs(given.numpy(), LENGTHS)
    expected = integer.run(raw, lengths=LENGTHS)
    for found, layer_events in zip(events, expected.events, strict=True):
        assert np.array_equal(integers(found, EVENT), layer_events)
        assert layer_events.any()
    for k, (y, h) in enumerate(expected.state):
        assert np.array_equal(integers(state[0][k], EVENT), y)
        assert np.array_equal(integers(state[1][k], STATE), h)
    real = torch.from_numpy(integer.logits(expected.outputs, LENGTHS)).to(dtype)
    assert torch.equal(logits, real)


@pytest.mark.parametrize("readout", READOUTS)
def test_gradients_of_a_padded_batch_are_the_sum_of_each_sequences(readout):
    network, x = make(readout, dtype=torch.float64)
    quantized = QuantizedNetwork(network, x, lengths=LENGTHS)
    with torch.no_grad():  # within the formats, whose limits keep some gradients and not others
        for name, parameter in quantized.named_parameters():
            parameter.mul_(0.1 if "threshold" in name else 0.5)
    rng = torch.Generator().manual_seed(2)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    weights = random(5, 9, 4) if readout == "steps" else random(5, 4)
    of_events, of_state = random(5, 9, 7), random(2, 5, 7)

    def gradients(chosen, steps, lengths) -> list[torch.Tensor]:
        """Of a loss on logits, the first layer's events and both states."""
        quantized.zero_grad()
        given = torch.from_numpy(x[chosen, :steps])
        logits, events, state = quantized.run(given, lengths=lengths)
        logit_weights = weights[chosen]
        if readout == "steps":
            logit_weights = logit_weights[:, :steps]
        loss = (logits * logit_weights).sum() + (events[0] * of_events[chosen, :steps]).sum()
        for s in state:
            loss = loss + (s * of_state[:, chosen]).sum()
        loss.backward()
        return [parameter.grad.clone() for parameter in quantized.parameters()]

    found = gradients(slice(None), 9, torch.from_numpy(LENGTHS))
    alone = [gradients(slice(n, n + 1), m, None) for n, m in enumerate(LENGTHS.tolist())]
    for grad, *parts in zip(found, *alone, strict=True):
        assert torch.allclose(grad, sum(parts), atol=1e-10)
        assert grad.any()


def test_scales_depend_on_real_steps_only():
    network, x = make("mean")
    whole = np.nan_to_num(x)
    whole[~REAL] = 100
    scales = choose_scales(network, x, 8, LENGTHS)
    assert scales == choose_scales(network, whole, 8, LENGTHS)
    assert scales != choose_scales(network, whole, 8)
    short = np.full((3, 9, 3), np.inf)
    short[:, :4] = x[[0, 1, 3], :4]
    assert choose_scales(network, short, 4, [4, 4, 4]) == choose_scales(network, short[:, :4], 4)
    symbols = np.where(REAL[..., None], np.eye(3)[generator(2).integers(0, 3, (5, 9))], 1.0)
    assert choose_scales(network, symbols, 8, LENGTHS).one_hot


@pytest.mark.parametrize("readout", READOUTS)
def test_the_agreement_is_over_real_steps(readout):
    network, x = make(readout)
    integer = quantize(network, x, lengths=LENGTHS)
    labels = generator(3).integers(0, 4, (5, 9) if readout == "steps" else 5)
    found = compare(network, integer, x, labels, LENGTHS)
    same = fired = right = 0
    for n, length in enumerate(LENGTHS.tolist()):
        piece = x[n : n + 1, :length]
        with torch.no_grad():
            outputs, events, _ = network.run(torch.from_numpy(piece).float())
        result = integer.run(integer.quantize_inputs(piece))
        same += int(((events[0].numpy() != 0) == (result.events[0] != 0)).sum())
        fired += int(events[0].count_nonzero())
        right += int((outputs.argmax(-1).numpy().ravel() == labels[n].ravel()[:length]).sum())
    total = int(LENGTHS.sum())
    assert found.event_agreement[0] == pytest.approx(same / (7 * total))
    assert found.activity[0][0] == pytest.approx(fired / (7 * total))
    assert found.accuracy[0] == pytest.approx(right / (total if readout == "steps" else 5))
