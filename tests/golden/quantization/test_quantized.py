"""Quantisation-aware training: forward is the integer model, backward the float cell's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from golden import Network, QuantizeConfig, QuantizedNetwork, load_model, quantize
from golden.integer import layer_steps
from golden.integer.numerics import BIAS, EVENT, GATE, RECURRENT_GATE_INPUT, STATE, THRESHOLD
from golden.readouts import READOUTS
from golden.tasks import TASKS
from tests.helpers.reference import Parameters, backward

SHIPPED = "golden/models/mnist1d.safetensors"
BITS = QuantizeConfig(weight_bits=4)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def make(
    seed: int, inputs: int = 3, hidden: int = 9, layers: int = 1, readout: str = "mean", **options
) -> tuple[Network, np.ndarray]:
    """A network with biases, and inputs (6, 12, inputs)."""
    print("seed", seed)
    torch.manual_seed(seed)
    network = Network(inputs, hidden, 4, layers, readout=readout, **options)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "bias" in name:
                parameter.normal_(0, 0.3)
    return network, np.random.default_rng(seed).normal(size=(6, 12, inputs))


def integers(real: torch.Tensor, form) -> np.ndarray:
    """Raw values of ``real``, which must all be exactly on the format's grid."""
    raw = real.detach().double().numpy() / form.scale
    assert np.array_equal(raw, np.rint(raw))
    return raw.astype(np.int64)


# ---- forward ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), inputs=st.integers(1, 4), hidden=st.integers(1, 40),
    layers=st.integers(1, 3), bits=st.integers(2, 8), readout=st.sampled_from([*READOUTS]),
    dtype=st.sampled_from([torch.float32, torch.float64]), cut=st.integers(1, 11),
)  # fmt: skip
def test_events_states_and_logits_are_the_integer_models(
    seed, inputs, hidden, layers, bits, readout, dtype, cut
):
    network, x = make(seed, inputs, hidden, layers, readout, dtype=dtype)
    quantized = QuantizedNetwork(network, x, QuantizeConfig(weight_bits=bits))
    integer = quantized.integer()
    state = integer_state = None
    for piece in (x[:, :cut], x[:, cut:]):
        logits, events, state = quantized.run(torch.from_numpy(piece).to(dtype), state)
        # In float32 inputs are rounded once before they are quantised.
        raw = integer.quantize_inputs(torch.from_numpy(piece).to(dtype).numpy())
        expected = integer.run(raw, integer_state)
        integer_state = expected.state
        for found, layer_events in zip(events, expected.events, strict=True):
            assert np.array_equal(integers(found, EVENT), layer_events)
        for k, (last_y, last_h) in enumerate(expected.state):
            assert np.array_equal(integers(state[0][k], EVENT), last_y)
            assert np.array_equal(integers(state[1][k], STATE), last_h)
        expected_logits = integer.logits(expected.outputs, piece.shape[1])
        assert torch.equal(logits, torch.from_numpy(expected_logits).to(dtype))


def test_before_training_it_stands_for_what_quantize_gives():
    network, x = make(1, layers=2)
    found = QuantizedNetwork(network, x, BITS).integer()
    expected = quantize(network, x, BITS)
    assert (found.weight_bits, found.input_format) == (4, expected.input_format)
    for a, b in zip(found.layers, expected.layers, strict=True):
        assert np.array_equal(a.weight_input, b.weight_input)
        assert np.array_equal(a.weight_recurrent, b.weight_recurrent)
        assert (a.input_alignment, a.recurrent_alignment) == (
            b.input_alignment, b.recurrent_alignment,
        )  # fmt: skip


# ---- backward ---------------------------------------------------------------------------------


def reference_gradients(quantized: QuantizedNetwork, x, y, h, dy, dh):
    """Gradients of a one-layer network's on-grid parameters, by the reference's recursion.

    From the raw state (y, h), each (N, H).
    """
    integer, egru = quantized.integer(), quantized.network.egru
    layer, (input_format, recurrent_format) = integer.layers[0], quantized.scales.layers[0]
    bias_r, bias_z, bias_p, bias_q = BIAS.real(layer.bias)
    parameters = Parameters(
        input_format.real(layer.weight_input),
        recurrent_format.real(layer.weight_recurrent),
        np.concatenate([bias_r, bias_z, bias_p]),
        np.concatenate([0 * bias_r, 0 * bias_z, bias_q]),
        THRESHOLD.real(layer.threshold),
    )
    raw = integer.quantize_inputs(x)
    tape = []
    for t, u in enumerate(layer_steps(layer, raw, y, h)):
        gates = GATE.real(u.r), GATE.real(u.z), STATE.real(u.g), RECURRENT_GATE_INPUT.real(u.q)
        before = integer.input_format.real(raw[:, t]), EVENT.real(y), STATE.real(h)
        tape.append((*before, *gates, STATE.real(u.c), (u.y != 0).astype(float)))
        y, h = u.y, u.h
    return backward(parameters, tape, dy, dh, egru.surrogate_height, egru.surrogate_width)


@pytest.mark.parametrize("seed", range(4))
def test_gradients_are_the_float_cells_at_the_integer_models_numbers(seed):
    network, x = make(seed, dtype=torch.float64, threshold_mean=0.2, surrogate_width=0.4)
    quantized = QuantizedNetwork(network, x)
    rng = np.random.default_rng(seed)
    dy, dh = rng.normal(size=(12, 6, 9)), rng.normal(size=(6, 9))
    inputs = torch.from_numpy(x).requires_grad_()
    first_y = rng.integers(0, 256, (6, 9)) * (rng.random((6, 9)) < 0.4)
    first_h = rng.integers(-20000, 20000, (6, 9))
    first = EVENT.real(first_y)[None], STATE.real(first_h)[None]
    state = tuple(torch.from_numpy(s).requires_grad_() for s in first)

    _, (y,), (_, last_h) = quantized.run(inputs, state)
    assert 0.05 < (y != 0).double().mean() < 0.6
    loss = (y.transpose(0, 1) * torch.from_numpy(dy)).sum() + (last_h[0] * torch.tensor(dh)).sum()
    loss.backward()

    expected, dx, dy0, dh0 = reference_gradients(quantized, x, first_y, first_h, dy, dh)
    found = dict(zip(vars(expected), quantized.network.egru.layer_parameters(0), strict=True))
    raw = quantized.integer().layers[0]
    for name, codes in (("weight_ih", "weight_input"), ("weight_hh", "weight_recurrent")):
        # At the ends of a format only gradients that lead back pass: not this test's matter.
        free = np.abs(getattr(raw, codes)) < 127
        assert free.mean() > 0.9
        np.testing.assert_allclose(
            found[name].grad.numpy()[free], getattr(expected, name)[free], rtol=1e-9, atol=1e-12
        )
    for name in ("bias_ih", "bias_hh", "threshold"):
        np.testing.assert_allclose(found[name].grad.numpy(), getattr(expected, name), rtol=1e-9)
    np.testing.assert_allclose(inputs.grad.numpy(), dx.transpose(1, 0, 2), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(state[0].grad[0].numpy(), dy0, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(state[1].grad[0].numpy(), dh0, rtol=1e-9, atol=1e-12)


def test_every_layer_and_the_readout_get_gradients():
    network, x = make(5, hidden=20, layers=3)
    quantized = QuantizedNetwork(network, x, BITS)
    quantized(torch.tensor(x, dtype=torch.float32)).square().sum().backward()
    for name, parameter in quantized.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_weight_beyond_its_format_only_gets_gradients_that_lead_back(sign):
    network, x = make(6)
    quantized = QuantizedNetwork(network, x, BITS)
    weight = quantized.network.readout.weight
    with torch.no_grad():
        weight[:] = 100.0
    logits = quantized(torch.tensor(x, dtype=torch.float32))
    (sign * logits.sum()).backward()
    # Descent on +logits lowers the weights, which leads back.
    assert (weight.grad.abs().max() > 0) == (sign > 0)


# ---- training ---------------------------------------------------------------------------------


def test_training_leaves_the_first_network_alone_and_changes_the_integer_model():
    network, x = make(7)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    quantized = QuantizedNetwork(network, x, BITS)
    first = quantized.integer()
    quantized(torch.tensor(x, dtype=torch.float32)).sum().backward()
    with torch.no_grad():
        for parameter in quantized.parameters():
            parameter -= parameter.grad
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not np.array_equal(quantized.integer().readout.weight, first.readout.weight)


def test_training_wins_back_most_of_what_three_bits_lose_on_mnist1d():
    task = TASKS["mnist1d"]
    (x, labels), (test_x, test_labels) = task.train(), task.test()
    config = QuantizeConfig(weight_bits=3)
    quantized = QuantizedNetwork(load_model(SHIPPED).network(), x[:500], config)

    def accuracy() -> float:
        integer = quantized.integer()
        outputs = integer.run(integer.quantize_inputs(test_x)).outputs
        return (outputs.argmax(1) == test_labels).mean()

    assert accuracy() < 0.95  # without training
    optimizer = torch.optim.AdamW(quantized.parameters(), 1e-3, weight_decay=0)
    order = np.random.default_rng(0).permutation(len(x))
    for chosen in np.split(order, 40):
        logits = quantized(torch.from_numpy(x[chosen]))
        loss = F.cross_entropy(logits, torch.from_numpy(labels[chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert accuracy() > 0.96


def test_weights_that_training_made_too_large_rejected():
    network, x = make(8, hidden=300)
    quantized = QuantizedNetwork(network, x)
    with torch.no_grad():
        quantized.network.egru.bias_ih_l0.fill_(16)
        quantized.network.egru.weight_hh_l0.fill_(100)
    with pytest.raises(ValueError, match=r"layer 0, accumulator . of unit 0 could reach"):
        quantized(torch.tensor(x, dtype=torch.float32))


def test_a_training_that_diverged_is_told_so():
    network, x = make(10)
    quantized = QuantizedNetwork(network, x)
    with torch.no_grad():
        quantized.network.egru.bias_hh_l0[2] = torch.nan
    with pytest.raises(ValueError, match=r"egru\.bias_hh_l0 of the network has values"):
        quantized(torch.tensor(x, dtype=torch.float32))


def test_other_inputs_than_the_promised_one_hot_ones_rejected():
    network, _ = make(11, inputs=5)
    symbols = torch.eye(5)[torch.randint(5, (4, 10))]
    quantized = QuantizedNetwork(network, symbols.numpy())
    quantized(symbols)
    with pytest.raises(ValueError, match="raw_inputs must be one-hot"):
        quantized(symbols + symbols.roll(1, 2))


def test_dtypes_that_cannot_hold_the_numbers_rejected():
    network, x = make(9)
    with pytest.raises(ValueError, match=r"network's torch.bfloat16 .* network.float\(\)"):
        QuantizedNetwork(network.bfloat16(), x)
