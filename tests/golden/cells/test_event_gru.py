"""The float EGRU against hand-derived numpy, and the contract of its interface."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import rnn

from golden.cells.event_gru import EGRU
from golden.cells.surrogate import threshold_event, unit_interval
from golden.core import policy
from tests.helpers import reference

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 6)


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make(seed: int, *arguments, **options) -> EGRU:
    """A seeded EGRU in evaluation, with lively weights and non-zero biases."""
    print("seed", seed)
    torch.manual_seed(seed)
    egru = EGRU(*arguments, **options).eval()
    with torch.no_grad():
        for name, parameter in egru.named_parameters():
            if "bias" in name:
                parameter.normal_(0, 0.5)
            elif "weight" in name:
                parameter.mul_(1.5)
    return egru


def assert_close(found, expected, what):
    """Relative to the largest element: gradients of single elements may cancel to 0."""
    found = found.detach().numpy()
    assert found.shape == expected.shape, what
    error = np.abs(found - expected).max(initial=0)
    assert error <= 1e-10 * max(1.0, np.abs(expected).max(initial=0)), (what, error)


@settings(max_examples=80, deadline=None)
@given(
    seed=seeds, steps=st.integers(1, 8), count=st.integers(1, 3), inputs=sizes, hidden=sizes,
    layers=st.integers(1, 3), batch_first=st.booleans(), trace=st.booleans(),
    zoneout=st.sampled_from([0.0, 0.3]), height=st.sampled_from([0.0, 0.7, 1.3]),
    width=st.sampled_from([0.1, 0.5, 1.0]),
)  # fmt: skip
def test_outputs_states_and_all_gradients_equal_the_hand_derived_ones(
    seed, steps, count, inputs, hidden, layers, batch_first, trace, zoneout, height, width
):
    egru = make(
        seed, inputs, hidden, layers, batch_first=batch_first, trace=trace, zoneout=zoneout,
        surrogate_height=height, surrogate_width=width,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, count, inputs))
    start = [rng.random((layers, count, hidden)), rng.uniform(-1, 1, (layers, count, hidden))]
    if trace:
        start.append(rng.random((count, hidden)))

    def arranged(array):
        return array.swapaxes(0, 1).copy() if batch_first else array

    leaves = [torch.tensor(a, requires_grad=True) for a in (arranged(x), *start)]
    y, state, *traces = egru(leaves[0], tuple(leaves[1:]))
    outputs = [y, *state, *traces]
    # A random gradient on everything the call returns.
    grads = [rng.normal(size=tuple(output.shape)) for output in outputs]
    torch.autograd.backward(outputs, [torch.tensor(g) for g in grads])

    parameters = [
        reference.Parameters(*(p.detach().numpy() for p in egru.layer_parameters(k)))
        for k in range(layers)
    ]
    values, tapes, last_y, last_h = x, [], [], []
    for par, y0, h0 in zip(parameters, start[0], start[1], strict=True):
        values, h, tape = reference.forward(par, values, y0, h0, zoneout)
        tapes.append(tape)
        last_y.append(values[-1])
        last_h.append(h)
    assert_close(y, arranged(values), "y")
    assert_close(state[0], np.stack(last_y), "last y")
    assert_close(state[1], np.stack(last_h), "last h")

    dy = arranged(grads[0]).copy()
    if trace:
        expected = reference.trace_forward(values, start[2])
        assert_close(traces[0], arranged(expected), "trace")
        assert_close(state[2], expected[-1], "last trace")
        dtraces = arranged(grads[4]).copy()
        dtraces[-1] += grads[3]
        from_trace, dtrace0 = reference.trace_backward(dtraces)
        dy += from_trace
        assert_close(leaves[3].grad, dtrace0, "gradient of the first trace")
    for k in reversed(range(layers)):
        dy[-1] += grads[1][k]
        gradient, dy, dy0, dh0 = reference.backward(
            parameters[k], tapes[k], dy, grads[2][k], height, width, zoneout
        )
        assert_close(leaves[1].grad[k], dy0, f"gradient of the first y of layer {k}")
        assert_close(leaves[2].grad[k], dh0, f"gradient of the first h of layer {k}")
        for name, expected in vars(gradient).items():
            found = getattr(egru, f"{name}_l{k}").grad
            assert_close(found, expected, f"gradient of {name}_l{k}")
    assert_close(leaves[0].grad, arranged(dy), "gradient of x")


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds, layers=st.integers(1, 3), batch_first=st.booleans(), trace=st.booleans(),
    cuts=st.lists(st.integers(1, 4), min_size=1, max_size=4),
)  # fmt: skip
def test_streaming_in_pieces_equals_one_pass(seed, layers, batch_first, trace, cuts):
    egru = make(seed, 3, 5, layers, batch_first=batch_first, trace=trace)
    dim = 1 if batch_first else 0
    shape = [sum(cuts), 2, 3]
    x = torch.randn(*(shape if dim == 0 else [shape[1], shape[0], shape[2]]))
    y, state, *traces = egru(x)
    pieces, running = [], None
    for piece in x.split(cuts, dim):
        out, running, *out_trace = egru(piece, running)
        pieces.append((out, *out_trace))
    for whole, parts in zip((y, *traces), zip(*pieces, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(parts, dim), whole, rtol=0, atol=1e-14)
    for whole, part in zip(state, running, strict=True):
        torch.testing.assert_close(part, whole, rtol=0, atol=1e-14)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, trace=st.booleans())
def test_a_single_sequence_equals_a_batch_of_one(seed, trace):
    egru = make(seed, 3, 4, 2, trace=trace)
    x = torch.randn(5, 3)
    _, state, *_ = egru(x)
    y, last, *traces = egru(x, state)
    batch_state = tuple(s.unsqueeze(-2) for s in state)
    y_batch, last_batch, *traces_batch = egru(x.unsqueeze(1), batch_state)
    for single, batch in zip((y, *traces), (y_batch, *traces_batch), strict=True):
        assert torch.equal(single, batch.squeeze(1))
    for single, batch in zip(last, last_batch, strict=True):
        assert torch.equal(single, batch.squeeze(-2))


def gradients_of(outputs, leaves):
    """Of a loss in which every element of the outputs has another weight."""
    loss = sum((o * torch.linspace(1, 2, o.numel()).view_as(o)).sum() for o in outputs)
    return torch.autograd.grad(loss, leaves)


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds, lengths=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    layers=st.integers(1, 3), backend=st.sampled_from(["core", "torch"]), trace=st.booleans(),
    batch_first=st.booleans(), zoneout=st.sampled_from([0.0, 0.3]), is_sorted=st.booleans(),
    given_state=st.booleans(),
)  # fmt: skip
def test_packed_sequences_equal_each_sequence_alone(
    seed, lengths, layers, backend, trace, batch_first, zoneout, is_sorted, given_state
):
    options = {"trace": trace, "batch_first": batch_first, "zoneout": zoneout, "backend": backend}
    egru = make(seed, 3, 5, layers, **options)
    lengths = sorted(lengths, reverse=True) if is_sorted else lengths
    xs = [torch.randn(length, 3, requires_grad=True) for length in lengths]
    state = [torch.rand(layers, len(xs), 5), torch.rand(layers, len(xs), 5)]
    state += [torch.rand(len(xs), 5)] * trace
    starts = [tuple(s[..., i, :] for s in state) for i in range(len(xs))]
    packed = rnn.pack_sequence(xs, enforce_sorted=is_sorted)
    with policy.forced("sparse"):  # a dense product may round with the number of its rows
        y, last, *traces = egru(packed, tuple(state) if given_state else None)
        alone = [egru(x, s if given_state else None) for x, s in zip(xs, starts, strict=True)]
    assert torch.equal(y.batch_sizes, packed.batch_sizes)
    outputs = [rnn.unpack_sequence(y), *last, *(rnn.unpack_sequence(t) for t in traces)]
    ys, lasts, *more = zip(*alone, strict=True)
    expected = [ys, *(torch.stack(s, -2) for s in zip(*lasts, strict=True)), *more]
    leaves = [*xs, *egru.parameters()]
    found = [o for output in outputs for o in output]
    wanted = [e for output in expected for e in output]
    atol = 0 if backend == "core" else 1e-14
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=atol)
    pairs = zip(gradients_of(found, leaves), gradients_of(wanted, leaves), strict=True)
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["core", "torch"])
def test_a_packed_call_drops_the_same_weights_in_all_sequences(backend):
    egru = make(3, 3, 5, drop_connect=0.5, dropout=0.0, backend=backend).train()
    xs = [torch.randn(length, 3) for length in (2, 6, 4)]

    def run(x):
        torch.manual_seed(1)
        return egru(x)[0]

    for x, y in zip(
        xs, rnn.unpack_sequence(run(rnn.pack_sequence(xs, enforce_sorted=False))), strict=True
    ):
        torch.testing.assert_close(y, run(x), rtol=0, atol=1e-14)


def test_packed_sequences_go_through_every_kind_of_training_noise():
    egru = make(3, 3, 5, 2, dropout=0.5, zoneout=0.5, drop_connect=0.5).train()
    packed = rnn.pack_sequence([torch.randn(length, 3) for length in (6, 4)])
    y, _ = egru(packed)
    y.data.sum().backward()
    assert y.data.shape == (10, 5)
    assert not torch.equal(y.data, egru(packed)[0].data)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, hidden=sizes)
def test_one_step_from_zero_is_torchs_gru_before_the_reset(seed, hidden):
    egru = make(seed, 3, hidden)
    x = torch.randn(1, 4, 3)
    y, (_, h) = egru(x)
    expected, _ = egru.to_gru()(x)
    fired = y != 0
    before_reset = h + fired * egru.threshold_l0
    torch.testing.assert_close(before_reset, expected, rtol=0, atol=1e-14)
    assert torch.equal(fired, expected > egru.threshold_l0)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, layers=st.integers(1, 3))
def test_threshold_zero_and_positive_states_make_it_torchs_gru(seed, layers):
    egru = make(seed, 3, 4, layers)
    with torch.no_grad():
        for k in range(layers):
            egru.layer_parameters(k)[2][8:] = 12.0  # gate n near +1: no state is ever negative
            egru.layer_parameters(k)[4].zero_()
    x = torch.randn(7, 2, 3)
    y, (_, h) = egru(x)
    expected, last = egru.to_gru()(x)
    assert (expected > 0).all()
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(h, last, rtol=0, atol=1e-13)


@pytest.mark.parametrize("batch_first", [False, True])
def test_conversion_to_and_from_a_gru_keeps_every_weight(batch_first):
    gru = nn.GRU(3, 4, 2, batch_first=batch_first, dropout=0.25).eval()
    egru = EGRU.from_gru(gru, surrogate_width=0.5)
    assert (egru.batch_first, egru.dropout, egru.surrogate_width) == (batch_first, 0.25, 0.5)
    assert not egru.training
    again = egru.to_gru()
    assert (again.batch_first, again.dropout, again.training) == (batch_first, 0.25, False)
    for name, weight in gru.named_parameters():
        assert torch.equal(getattr(egru, name), weight)
        assert torch.equal(getattr(again, name), weight)


def test_gradients_are_true_derivatives_where_no_event_comes_or_goes():
    egru = make(3, 2, 3, 2, surrogate_height=0.0)
    x = torch.randn(4, 2, 2, requires_grad=True)
    y0 = torch.rand(2, 2, 3, requires_grad=True)
    h0 = (torch.rand(2, 2, 3) - 0.5).requires_grad_()
    parameters = list(egru.parameters())

    def run(x, y0, h0, *_):
        y, state = egru(x, (y0, h0))
        return y, *state

    assert torch.autograd.gradcheck(run, (x, y0, h0, *parameters))
    assert 0 < (egru(x)[0] != 0).double().mean() < 1


def test_events_are_zero_or_above_the_threshold_and_states_bounded():
    egru = make(5, 3, 16)
    y, (_, h) = egru(3 * torch.randn(50, 4, 3))
    above = y > egru.threshold_l0
    assert (above | (y == 0)).all()
    assert 0 < above.double().mean() < 1
    assert y.max() < 1
    assert h.abs().max() < 1


def test_a_unit_at_its_threshold_is_silent_and_outside_the_window_has_no_gradient():
    s = torch.tensor([0.0, 0.25, -0.25, 0.5, -0.6], requires_grad=True)
    events = threshold_event(s, height=0.8, width=0.5)
    assert events.tolist() == [0, 1, 0, 1, 0]
    events.sum().backward()
    assert s.grad.tolist() == [0.8, 0.4, 0.4, 0, 0]


def test_thresholds_are_clamped_but_may_return_into_the_interval():
    value = torch.tensor([1.5, 1.5, -0.5, -0.5, 0.4], requires_grad=True)
    clamped = unit_interval(value)
    assert clamped.tolist() == [1, 1, 0, 0, 0.4]
    clamped.backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0]))
    assert value.grad.tolist() == [1, 0, 0, -1, 1]  # descent: +1 lowers, -1 raises


def test_parameters_and_gradients_are_contiguous_until_weights_are_stored_transposed():
    x = torch.randn(20, 2, 3)
    for backend in ("core", "torch"):
        egru = make(4, 3, 5, 2, backend=backend)
        expected = egru(x)[0]
        gradients = torch.autograd.grad(expected.sum(), list(egru.parameters()))
        assert all(value.is_contiguous() for value in (*egru.parameters(), *gradients))
        egru.store_transposed()
        assert egru.weight_ih_l1.t().is_contiguous()
        assert egru.weight_hh_l1.t().is_contiguous()
        torch.testing.assert_close(egru(x)[0], expected, rtol=0, atol=1e-14)


def test_values_written_to_data_count_in_the_next_call():
    egru = make(4, 3, 5)
    with torch.no_grad():
        egru(torch.ones(20, 2, 3))
        egru.weight_ih_l0.data.zero_()
        egru.weight_hh_l0.data.zero_()
        bias_ih, bias_hh = egru.layer_parameters(0)[2:4]
        bias_ih.zero_()
        bias_hh.zero_()
        assert not egru(torch.ones(20, 2, 3))[0].any()


def test_training_noise_is_only_in_training():
    options = {"dropout": 0.5, "drop_connect": 0.5}
    noisy = make(1, 3, 8, 2, **options)
    plain = EGRU(3, 8, 2)
    plain.load_state_dict(noisy.state_dict())
    x = torch.randn(10, 4, 3)
    assert torch.equal(noisy(x)[0], plain(x)[0])
    noisy.train()
    assert not torch.equal(noisy(x)[0], plain(x)[0])


def test_zoneout_keeps_single_states_in_training():
    egru = make(2, 3, 50, zoneout=0.4).train()
    h0 = 0.01 * torch.rand(1, 20, 50)  # below every threshold: kept means silent and unchanged
    with torch.no_grad():
        egru.threshold_l0.fill_(0.5)
    _, (_, h) = egru(torch.randn(1, 20, 3), (torch.zeros_like(h0), h0))
    kept = (h == h0).double().mean().item()
    assert abs(kept - 0.4) < 5 * (0.4 * 0.6 / 1000) ** 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden_size": 0}, "hidden_size must be a positive integer, not 0"),
        ({"num_layers": 1.5}, "num_layers must be a positive integer, not 1.5"),
        ({"dropout": 1.0}, "dropout must be a probability"),
        ({"zoneout": -0.1}, "zoneout must be a probability"),
        ({"drop_connect": 2}, "drop_connect must be a probability"),
        ({"surrogate_height": -1}, "surrogate_height must not be negative"),
        ({"surrogate_width": 0}, "surrogate_width must be positive"),
        ({"update_bias_spread": -1}, "update_bias_spread must not be negative"),
        ({"input_gain": 0}, "input_gain must be positive"),
        ({"recurrent_gain": -1}, "recurrent_gain must not be negative"),
        ({"threshold_mean": 1.0}, "threshold_mean must lie in"),
    ],
)
def test_bad_options_rejected(options, words):
    with pytest.raises(ValueError, match=words):
        EGRU(**{"input_size": 2, "hidden_size": 3} | options)


@pytest.mark.parametrize(
    ("x", "state", "words"),
    [
        (torch.zeros(4), None, "2-D or 3-D input, not 1-D"),
        (torch.zeros(4, 2, 5), None, "3 features a step, not 5"),
        (torch.zeros(0, 2, 3), None, "at least one step"),
        (torch.zeros(4, 2, 3), (torch.zeros(1, 2, 4),), "a state of shapes"),
        (torch.zeros(4, 2, 3), (torch.zeros(1, 1, 4),) * 2, "a state of shapes"),
        (rnn.pack_sequence([torch.zeros(4, 5)]), None, "3 features a step, not 5"),
        (rnn.pack_sequence([torch.zeros(4, 3)]), (torch.zeros(1, 2, 4),) * 2, "a state of shapes"),
    ],
)
def test_bad_inputs_rejected(x, state, words):
    with pytest.raises(ValueError, match=words):
        EGRU(3, 4, dtype=torch.float32)(x, state)


def test_the_update_bias_is_where_that_gate_starts_and_makes_states_last():
    kept = []
    for bias in (0.0, 3.0):
        torch.manual_seed(0)
        egru = EGRU(2, 30, num_layers=2, update_bias=bias)
        for layer in range(2):
            _, _, bias_ih, bias_hh, _ = egru.layer_parameters(layer)
            r, z, n = (bias_ih + bias_hh).detach().chunk(3)
            assert (z == bias).all()
            assert not torch.cat([r, n]).any()
        # Negative states: no unit speaks, and only the gate decides what is left of them.
        start = (torch.zeros(2, 1, 30), torch.full((2, 1, 30), -1.0))
        _, (_, h) = egru(torch.zeros(1, 1, 2), start)
        kept.append(h.mean().item())
    assert kept == pytest.approx([-torch.sigmoid(torch.tensor(b)).item() for b in (0.0, 3.0)])


def test_update_biases_fill_their_range_and_nothing_else_is_spread():
    torch.manual_seed(0)
    egru = EGRU(2, 1000, num_layers=2, update_bias=3.0, update_bias_spread=2.0)
    for layer in range(2):
        _, _, bias_ih, bias_hh, _ = egru.layer_parameters(layer)
        r, z, n = (bias_ih + bias_hh).detach().chunk(3)
        # Of 1,000 uniform draws, each tenth of the range holds 100 ± 5 standard deviations of 9.5.
        counts = torch.histc(z, 10, 1.0, 5.0)
        assert counts.sum() == 1000
        assert ((counts - 100).abs() < 48).all()
        assert not torch.cat([r, n]).any()


@pytest.mark.parametrize(
    ("gain", "scaled"),
    [("input_gain", ["weight_ih_l0"]), ("recurrent_gain", ["weight_hh_l0", "weight_hh_l1"])],
)
def test_a_gain_scales_the_first_layer_s_input_weights_or_all_recurrent_ones(gain, scaled):
    made = []
    for options in ({}, {gain: 8.0}):
        torch.manual_seed(0)
        made.append(EGRU(2, 30, num_layers=2, **options).state_dict())
    before, after = made
    for name, value in before.items():
        assert torch.equal(after[name], 8 * value if name in scaled else value), name


def test_foreign_recurrent_networks_rejected():
    with pytest.raises(TypeError, match=r"expects a torch\.nn\.GRU, not LSTM"):
        EGRU.from_gru(nn.LSTM(2, 3))
    for gru in (nn.GRU(2, 3, bidirectional=True), nn.GRU(2, 3, bias=False)):
        with pytest.raises(ValueError, match="unidirectional GRU with biases"):
            EGRU.from_gru(gru)
