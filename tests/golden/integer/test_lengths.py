"""A padded batch of the integer model equals each sequence alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.integer import arithmetic
from golden.integer.numerics import Format
from golden.readouts import READOUTS
from sim.random_models import random_inputs, random_model
from tests.helpers.streams import generator

COUNTS = ("input_events", "recurrent_events", "operations")


def garbage(rng, raw, lengths):
    """``raw`` with anything in the padding, also what no input could be."""
    found = raw.copy()
    padding = np.arange(raw.shape[1]) >= lengths[:, None]
    found[padding] = rng.integers(-(2**40), 2**40, found[padding].shape)
    return found


def check(result, alone, n, length, per_step):
    """``alone`` is the result of sequence ``n`` without padding."""
    for name in ("events", *COUNTS):
        for padded, expected in zip(getattr(result, name), getattr(alone, name), strict=True):
            assert np.array_equal(padded[n, :length], expected[0]), name
            assert not padded[n, length:].any(), name
    for padded, expected in zip(result.state, alone.state, strict=True):
        assert np.array_equal(padded[0][n], expected[0][0])
        assert np.array_equal(padded[1][n], expected[1][0])
    if per_step:
        assert np.array_equal(result.outputs[n, :length], alone.outputs[0])
        assert not result.outputs[n, length:].any()
    else:
        assert np.array_equal(result.outputs[n], alone.outputs[0])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.sampled_from([(1,), (5,), (4, 3), (3, 2, 4)]),
    readout=st.sampled_from([*READOUTS]),
    drive=st.sampled_from(["mixed", "firing", "saturating"]),
    steps=st.integers(1, 12),
    block=st.sampled_from([2, 128]),
)
def test_a_padded_batch_equals_each_sequence_alone(seed, sizes, readout, drive, steps, block):
    rng = generator(seed)
    model = random_model(rng, 2, sizes, 3, drive=drive, readout=readout, density=0.5)
    lengths = rng.integers(1, steps + 1, 5)
    raw = random_inputs(rng, 5, steps, 2)
    before = model.run(random_inputs(rng, 5, 2, 2)).state
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic, "BLOCK", block)
        result = model.run(garbage(rng, raw, lengths), before, lengths=lengths)
    assert np.array_equal(result.lengths, lengths)
    for n, length in enumerate(lengths.tolist()):
        state = tuple((y[n : n + 1], h[n : n + 1]) for y, h in before)
        alone = model.run(raw[n : n + 1, :length], state)
        check(result, alone, n, length, model.readout_kind.per_step)
        logits = model.logits(alone.outputs, length)[0]
        found = model.logits(result.outputs, lengths)[n]
        assert np.array_equal(found[:length] if found.ndim == 2 else found, logits)
    fired = sum(np.count_nonzero(result.events[0][n, :length]) for n, length in enumerate(lengths))
    assert result.activity[0] == fired / (lengths.sum() * sizes[0])


def test_outputs_are_continued_from_each_sequences_own():
    rng = generator(2)
    model = random_model(rng, 2, (5,), 3, threshold=2000)
    raw, lengths = random_inputs(rng, 3, 8, 2), np.array([8, 3, 5])
    first = model.run(raw[:, :4], lengths=np.minimum(lengths, 4))
    whole = model.run(raw, lengths=lengths)
    state = tuple((y[[0, 2]], h[[0, 2]]) for y, h in first.state)
    rest = model.run(raw[[0, 2], 4:], state, first.outputs[[0, 2]], lengths=[4, 1])
    assert np.array_equal(rest.outputs, whole.outputs[[0, 2]])


def test_padding_of_real_inputs_is_never_quantised():
    model = random_model(generator(3), 2, (5,), 3)
    x = np.full((2, 4, 2), 0.5)
    x[1, 2:] = np.nan
    raw = model.quantize_inputs(x, [4, 2])
    assert np.array_equal(raw[1, :2], raw[0, :2])
    assert not raw[1, 2:].any()
    with pytest.raises(ValueError, match="inputs must be finite"):
        model.quantize_inputs(x, [4, 3])


def test_only_real_steps_must_be_one_hot():
    model = replace(random_model(generator(4), 2, (5,), 3), one_hot=True)
    raw = np.zeros((2, 8, 2), int)
    raw[:, 5:] = 1  # not one-hot
    model.run(raw, lengths=[5, 4])
    with pytest.raises(ValueError, match="raw_inputs must be one-hot"):
        model.run(raw, lengths=[5, 6])


def test_only_real_steps_count_towards_an_overflow(monkeypatch):
    model = random_model(generator(6), 2, (5,), 3)
    most = 5 * model.readout.largest_step
    monkeypatch.setattr(
        "golden.integer.model.READOUT_ACCUMULATOR", Format(1 + most.bit_length(), 0)
    )
    most = model.max_steps
    raw = np.zeros((1, most + 1, 2), int)
    model.run(raw, lengths=[most])
    with pytest.raises(ValueError, match=f"overflow within {most + 1} more steps"):
        model.run(raw)


def test_bad_lengths_rejected_by_every_entrance():
    model = random_model(generator(5), 2, (5,), 3)
    for call in (model.run, model.quantize_inputs, model.checked_inputs):
        with pytest.raises(ValueError, match="the length of sequence 1 is 0: expected 1 to 4"):
            call(np.zeros((2, 4, 2), int), lengths=[4, 0])
