"""The integer model against plain Python integers, its corners, and the float model."""

from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.integer import IntegerEGRU, IntegerLayer, IntegerReadout, numerics
from golden.integer.arithmetic import BLOCK
from golden.integer.numerics import Format
from golden.readouts import READOUTS
from sim.random_models import random_inputs, random_model

seeds = st.integers(0, 2**32 - 1)
drives = st.sampled_from(["mixed", "silent", "firing", "saturating"])
thresholds = st.sampled_from([None, 0, 1, 63, 64, 65, 2**14, 2**15 - 1, 2**15])


# ---- the specification once more, one number at a time --------------------------------------


@cache
def exact_table() -> list[int]:
    """tanh(i / 256) * 2**15, rounded, from 40 decimal digits."""
    table = []
    with localcontext() as context:
        context.prec = 40
        for i in range(1024):
            e = (Decimal(i) / 128).exp()
            scaled = (e - 1) / (e + 1) * 2**15
            table.append(int(scaled.quantize(Decimal(1), ROUND_HALF_EVEN)))
    return table


def lookup(index: int) -> int:
    value = exact_table()[min(abs(index), 1023)]
    return value if index >= 0 else -value


def slow_unit(layer, unit, x, y, h):
    """(y, h) of one unit after one step, from lists of values: docs/numerics.md by hand."""
    size = len(y)

    def products(row, weights, values, alignment):
        return sum(int(weights[row][i]) * (v << alignment) for i, v in enumerate(values) if v != 0)

    def from_input(gate):
        return products(gate * size + unit, layer.weight_input, x, layer.input_alignment)

    def from_events(gate):
        return products(gate * size + unit, layer.weight_recurrent, y, layer.recurrent_alignment)

    bias = [32 * int(b) for b in layer.bias[:, unit]]
    theta = int(layer.threshold[unit])
    s_r = from_input(0) + from_events(0) + bias[0]
    s_z = from_input(1) + from_events(1) + bias[1]
    s_p = from_input(2) + bias[2]
    s_q = from_events(2) + bias[3]
    for s in (s_r, s_z, s_p, s_q):
        assert -(2**23) <= s < 2**23
    r = 2**15 + lookup((s_r + 256) >> 9)
    z = 2**15 + lookup((s_z + 256) >> 9)
    q = max(-(2**17), min(2**17 - 1, s_q >> 3))
    g = lookup((s_p + ((r * q) >> 13) + 128) >> 8)
    c = g + ((z * (h - g) + 2**15) >> 16)
    assert min(g, h) <= c <= max(g, h)
    value = min((c + 64) >> 7, 255)
    if c > theta and value >= 1:
        return value, c - theta
    return 0, c


def slow_run(model, sequence, state, sums):
    """Per layer the events (T, H), the last state and the sums, of one sequence (T, C)."""
    state = [([int(v) for v in y], [int(v) for v in h]) for y, h in state]
    events = [[] for _ in model.layers]
    sums = [int(v) for v in sums]
    for values in sequence.tolist():
        for k, layer in enumerate(model.layers):
            y, h = state[k]
            pairs = [slow_unit(layer, u, values, y, h[u]) for u in range(layer.hidden_size)]
            values, h = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            state[k] = (values, h)
            events[k].append(values)
        for k in range(model.outputs):
            readout = model.readout
            sums[k] += sum(int(w) * v for w, v in zip(readout.weight[k], values, strict=True))
            sums[k] += int(readout.bias[k]) * readout.bias_operand
    return events, state, sums


# ---- equality -------------------------------------------------------------------------------


def test_table_is_tanh_correctly_rounded():
    assert list(numerics.tanh_table()) == exact_table()


@settings(max_examples=200, deadline=None)
@given(
    seed=seeds, inputs=st.integers(1, 4),
    hidden=st.lists(st.integers(1, 6), min_size=1, max_size=3), outputs=st.integers(0, 3),
    bits=st.sampled_from([2, 4, 8]), threshold=thresholds,
    density=st.sampled_from([0.3, 1.0]), drive=drives, steps=st.integers(1, 8),
)  # fmt: skip
def test_equals_plain_python_integers(
    seed, inputs, hidden, outputs, bits, threshold, density, drive, steps
):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    model = random_model(rng, inputs, tuple(hidden), outputs, bits, threshold, density, drive)
    x = random_inputs(rng, 2, steps, inputs)
    state = tuple(
        (rng.integers(0, 256, (2, size)), rng.integers(-32767, 32768, (2, size))) for size in hidden
    )
    sums = rng.integers(-(2**20), 2**20, (2, outputs))
    result = model.run(x, state, sums)
    for n in range(2):
        first = [(y[n], h[n]) for y, h in state]
        events, last, expected_sums = slow_run(model, x[n], first, sums[n])
        for k in range(model.num_layers):
            assert result.events[k][n].tolist() == events[k]
            assert result.state[k][0][n].tolist() == last[k][0]
            assert result.state[k][1][n].tolist() == last[k][1]
        assert result.outputs[n].tolist() == expected_sums


@settings(max_examples=30, deadline=None)
@given(
    seed=seeds, layers=st.integers(1, 3), cuts=st.lists(st.integers(1, 5), min_size=1, max_size=4)
)
def test_streaming_in_pieces_equals_one_pass(seed, layers, cuts):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    model = random_model(rng, 3, (5,) * layers, 2)
    x = random_inputs(rng, 4, sum(cuts), 3)
    whole = model.run(x)
    state, outputs, pieces = None, None, []
    for piece in np.split(x, np.cumsum(cuts)[:-1], axis=1):
        pieces.append(model.run(piece, state, outputs))
        state, outputs = pieces[-1].state, pieces[-1].outputs
    for name in ("events", "input_events", "recurrent_events"):
        for k, expected in enumerate(getattr(whole, name)):
            found = np.concatenate([getattr(piece, name)[k] for piece in pieces], axis=1)
            assert np.array_equal(found, expected), name
    for found, expected in zip(state, whole.state, strict=True):
        assert all(map(np.array_equal, found, expected))
    assert np.array_equal(outputs, whole.outputs)


def test_sequences_of_several_blocks_equal_each_alone():
    rng = np.random.default_rng(5)
    model = random_model(rng, 2, (6, 4), 3)
    x = random_inputs(rng, 2 * BLOCK + 1, 3, 2)
    together = model.run(x)
    for n in (0, BLOCK - 1, BLOCK, 2 * BLOCK):
        alone = model.run(x[n : n + 1])
        assert np.array_equal(together.outputs[n], alone.outputs[0])
        for k in range(2):
            assert np.array_equal(together.events[k][n], alone.events[k][0])
            assert np.array_equal(together.state[k][1][n], alone.state[k][1][0])
            assert np.array_equal(together.recurrent_events[k][n], alone.recurrent_events[k][0])


def test_logits_of_a_step_are_those_of_a_sequence_of_one_step():
    rng = np.random.default_rng(6)
    model = random_model(rng, 2, (6,), 3)
    x = random_inputs(rng, 4, 5, 2)
    by_step = replace(model, readout=replace(model.readout, kind=READOUTS["steps"]))
    every_step = by_step.logits(by_step.run(x).outputs, 5)
    assert every_step.shape == (4, 5, 3)
    state = None
    for t in range(5):
        piece = model.run(x[:, t : t + 1], state)
        assert np.array_equal(model.logits(piece.outputs, 1), every_step[:, t])
        state = piece.state


def test_counts_are_the_events_consumed():
    rng = np.random.default_rng(1)
    model = random_model(rng, 3, (5, 4))
    x = random_inputs(rng, 2, 6, 3)
    first = model.run(x)
    result = model.run(x, first.state)
    assert np.array_equal(result.input_events[0], (x != 0).sum(2))
    assert np.array_equal(result.input_events[1], (result.events[0] != 0).sum(2))
    for k in range(2):
        fired = (result.events[k] != 0).sum(2)
        assert np.array_equal(result.recurrent_events[k][:, 1:], fired[:, :-1])
        assert np.array_equal(result.recurrent_events[k][:, 0], (first.state[k][0] != 0).sum(1))
        assert result.activity[k] == fired.sum() / result.events[k].size
    assert result.operations[1][1, 2] == 12 * (
        (result.events[0][1, 2] != 0).sum() + (result.events[1][1, 1] != 0).sum()
    )


# ---- corners --------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(1,), (7, 5)])
def test_drives_reach_the_corners_they_name(hidden):
    rng = np.random.default_rng(2)
    x = random_inputs(rng, 4, 10, 3)
    assert set(random_model(rng, 3, hidden, drive="silent").run(x).activity) == {0.0}
    assert set(random_model(rng, 3, hidden, drive="firing").run(x).activity) == {1.0}


def test_threshold_one_never_fires():
    rng = np.random.default_rng(3)
    x = random_inputs(rng, 8, 30, 2)
    for drive in ("mixed", "firing", "saturating"):
        model = random_model(rng, 2, (9,), threshold=2**15, drive=drive)
        assert model.run(x).activity == (0.0,)


@pytest.mark.parametrize(
    ("c", "theta", "event", "after"),
    [
        (63, 0, 0, 63),  # a value that rounds to 0 is no event ...
        (63, 1, 0, 63),  # ... and resets nothing
        (64, 0, 1, 64),
        (64, 1, 1, 63),
        (1000, 1000, 0, 1000),  # at its threshold a unit is silent
        (1000, 999, 8, 1),
    ],
)
def test_an_event_needs_more_than_its_threshold_and_half_an_event_step(c, theta, event, after):
    zeros = np.zeros((3, 1), int)
    layer = IntegerLayer(zeros, zeros, np.zeros((4, 1), int), [theta], 0, 0)
    model = IntegerEGRU((layer,), Format(9, 6))
    # With g = 0 and z = 1/2, h = 2 c falls to c.
    state = ((np.zeros((1, 1), int), np.full((1, 1), 2 * c)),)
    result = model.run(np.zeros((1, 1, 1), int), state)
    assert result.events[0].item() == event
    assert result.state[0][1].item() == after


def test_inputs_are_rounded_half_to_even_and_saturated():
    model = random_model(np.random.default_rng(0), 1, (1,))
    model = IntegerEGRU(model.layers, Format(9, 4))
    real = np.array([0.0, 1 / 16, 0.5 / 16, 1.5 / 16, -2.5 / 16, 100, -100])
    raw = model.quantize_inputs(real[None, :, None])
    assert raw.dtype == np.int64
    assert raw[0, :, 0].tolist() == [0, 1, 0, 2, -2, 255, -256]


def test_largest_accepted_sums_stay_exact():
    """All inputs and events at their extremes against the largest weights there are."""
    size = 250
    weight = np.full((3 * size, size), 127)
    layer = IntegerLayer(weight[:, :1], weight, np.zeros((4, size), int), np.zeros(size, int), 3, 0)
    model = IntegerEGRU((layer,), Format(9, 0))
    state = ((np.full((1, size), 255), np.zeros((1, size), int)),)
    result = model.run(np.full((1, 1, 1), -256), state)
    y, h = slow_unit(layer, 0, [-256], [255] * size, 0)
    assert set(result.events[0].flat) == {y}
    assert set(result.state[0][1].flat) == {h}


def test_arrays_of_a_model_are_read_only_copies():
    weights = np.ones((3, 1), int)
    layer = IntegerLayer(weights, weights, np.zeros((4, 1), int), np.zeros(1, int), 0, 0)
    weights[:] = 5
    assert layer.weight_input.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        layer.weight_input[0] = 2


# ---- refusals -------------------------------------------------------------------------------


def layer_with(**changes) -> IntegerLayer:
    fields = {
        "weight_input": np.ones((6, 3), int),
        "weight_recurrent": np.ones((6, 2), int),
        "bias": np.zeros((4, 2), int),
        "threshold": np.zeros(2, int),
        "input_alignment": 0,
        "recurrent_alignment": 0,
    }
    return IntegerLayer(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight_input": np.ones((5, 3), int)}, r"weight_input must have the shape \(6, 3\)"),
        (
            {"weight_input": np.ones((6, 3))},
            r"a 3HxC array of integers, not .*: make it with golden\.quantize",
        ),
        ({"weight_recurrent": np.ones((6, 3), int)}, "weight_recurrent must have the shape"),
        ({"bias": np.zeros((3, 2), int)}, "bias must have the shape"),
        ({"bias": np.full((4, 2), 2**15)}, "bias must lie in -32768 ... 32767, not 32768"),
        ({"threshold": [0, -1]}, "threshold must lie in 0 ... 32768, not -1"),
        ({"threshold": [0, 2**15 + 1]}, "threshold must lie in 0 ... 32768, not 32769"),
        ({"input_alignment": 10}, "input_alignment must be an integer in 0 ... 9, not 10"),
        ({"recurrent_alignment": -1}, "recurrent_alignment must be an integer"),
    ],
)
def test_bad_layers_rejected(changes, words):
    with pytest.raises(ValueError, match=words):
        layer_with(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": ()}, "at least one layer"),
        ({"layers": (layer_with(), layer_with())}, "layer 1 must read 2 inputs, not 3"),
        ({"input_format": Format(8, 3)}, "input_format must be a signed format of 9 bits"),
        ({"one_hot": 1}, "one_hot must be True or False, not 1"),
        ({"weight_bits": 9}, r"weight_bits must be an integer in 2 \.\.\. 8, not 9"),
        (
            {"layers": (layer_with(weight_input=np.full((6, 3), -128)),)},
            "layer 0 weight_input must lie in -127 ... 127, not -128",
        ),
        (
            {"layers": (layer_with(weight_recurrent=np.full((6, 2), 8)),), "weight_bits": 4},
            "layer 0 weight_recurrent must lie in -7 ... 7, not 8",
        ),
        (
            {"readout": IntegerReadout(np.ones((4, 3), int), np.ones(4, int), 0, 1)},
            r"readout.weight must have the shape \(4, 2\)",
        ),
        (
            {"readout": IntegerReadout(np.ones((4, 2), int), np.full(4, 128), 0, 1)},
            "readout.bias must lie in -127 ... 127, not 128",
        ),
    ],
)
def test_bad_models_rejected(changes, words):
    with pytest.raises(ValueError, match=words):
        IntegerEGRU(**({"layers": (layer_with(),), "input_format": Format(9, 6)} | changes))


@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("index", [0, 1])
def test_sums_that_could_overflow_rejected_by_layer_gate_and_unit(index, row):
    """One unit's accumulator reaches exactly the bound, then one step of a bias beyond it."""
    below = IntegerLayer(
        np.ones((9, 3), int), np.ones((9, 3), int), np.zeros((4, 3), int), [0] * 3, 0, 0
    )
    gate = [0, 1, 2, 2][row]
    weights = {
        "weight_input": np.zeros((6, 3), int),
        "weight_recurrent": np.zeros((6, 2), int),
    }
    name = "weight_recurrent" if row == 3 else "weight_input"
    weights[name][2 * gate + 1, :2] = [100, -26]
    # Inputs may be -256, events 255; what that leaves is for the bias.
    largest = 256 if name == "weight_input" and index == 0 else 255
    room = (2**23 - 1 - (126 * largest << 8)) // 32
    for excess in (0, 1):
        bias = np.zeros((4, 2), int)
        bias[row, 1] = -(room + excess)
        layer = layer_with(**weights, input_alignment=8, recurrent_alignment=8, bias=bias)
        layers = (layer,) if index == 0 else (below, layer)
        if excess:
            match = rf"layer {index}, accumulator {'rzpq'[row]} of unit 1 could reach"
            with pytest.raises(ValueError, match=match):
                IntegerEGRU(layers, Format(9, 6))
        else:
            IntegerEGRU(layers, Format(9, 6))


def test_one_hot_inputs_let_larger_weights_in_and_are_held_to_it():
    layer = layer_with(weight_input=np.full((6, 3), 127), input_alignment=7)
    with pytest.raises(ValueError, match="layer 0, accumulator r of unit 0 could reach"):
        IntegerEGRU((layer,), Format(9, 7))
    model = IntegerEGRU((layer,), Format(9, 7), one_hot=True)
    x = np.zeros((1, 2, 3), int)
    x[0, :, 1] = -256
    _, h = slow_unit(layer, 0, [0, -256, 0], [0, 0], 0)
    assert model.run(x[:, :1]).state[0][1].tolist() == [[h, h]]
    x[0, 1, 2] = 1
    with pytest.raises(ValueError, match="raw_inputs must be one-hot"):
        model.run(x)


def test_one_hot_inputs_say_nothing_about_upper_layers():
    below, above = layer_with(), layer_with(weight_input=np.full((6, 2), 127), input_alignment=8)
    with pytest.raises(ValueError, match="layer 1, accumulator r of unit 0 could reach"):
        IntegerEGRU((below, above), Format(9, 7), one_hot=True)


def test_sequences_that_could_overflow_the_readout_rejected():
    rng = np.random.default_rng(4)
    model = random_model(rng, 1, (3,), 2)
    readout = IntegerReadout(np.full((2, 3), 127), np.full(2, 127), 8, 2**16)
    model = IntegerEGRU(model.layers, model.input_format, readout)
    assert model.max_steps == (2**31 - 1) // (127 * (3 * 255 + 2**16)) == 255
    model.run(np.zeros((1, 255, 1), int))
    with pytest.raises(ValueError, match="at most 255 steps"):
        model.run(np.zeros((1, 256, 1), int))
    halfway = model.run(np.zeros((1, 128, 1), int))
    with pytest.raises(ValueError, match="at most 255 steps"):
        model.run(np.zeros((1, 200, 1), int), halfway.state, halfway.outputs)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.zeros((2, 4), int),), "raw_inputs must be a NxTxC array"),
        (
            (np.zeros((2, 4, 3)),),
            r"integers, not float64 of \(2, 4, 3\): make it with quantize_inputs",
        ),
        ((np.zeros((2, 4, 2), int),), r"raw_inputs must have the shape \(2, 4, 3\)"),
        ((np.full((2, 4, 3), 2**64 - 1, np.uint64),), f"signed 64-bit integers, not {2**64 - 1}"),
        ((np.full((2, 4, 3), 256),), r"raw_inputs must lie in -256 \.\.\. 255, not 256"),
        ((np.zeros((2, 0, 3), int),), "at least one step"),
        ((np.zeros((1, 1, 3), int), ()), "state must have 1 layers, not 0"),
        (
            (np.zeros((1, 1, 3), int), ((np.zeros((1, 2), int), np.zeros((2, 2), int)),)),
            r"state h of layer 0 must have the shape \(1, 2\)",
        ),
        (
            (np.zeros((1, 1, 3), int), ((np.full((1, 2), 256), np.zeros((1, 2), int)),)),
            r"state y of layer 0 must lie in 0 \.\.\. 255, not 256",
        ),
    ],
)
def test_bad_runs_rejected(arguments, words):
    model = IntegerEGRU((layer_with(),), Format(9, 6))
    with pytest.raises(ValueError, match=words):
        model.run(*arguments)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 3)), r"shape \(N, T, 3\), not \(2, 3\)"),
        (np.zeros((2, 4, 1)), r"shape \(N, T, 3\), not \(2, 4, 1\)"),
        (np.full((1, 1, 3), np.nan), "must be finite"),
        (np.full((1, 1, 3), np.inf), "must be finite"),
    ],
)
def test_bad_real_inputs_rejected(x, words):
    with pytest.raises(ValueError, match=words):
        IntegerEGRU((layer_with(),), Format(9, 6)).quantize_inputs(x)


def test_logits_without_a_readout_rejected():
    model = IntegerEGRU((layer_with(),), Format(9, 6))
    with pytest.raises(ValueError, match="no read-out"):
        model.logits(np.zeros((1, 0)), 1)
