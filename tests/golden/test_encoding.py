"""Encoders against slow ones in plain Python, and what they promise of any input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from golden.encoding import KINDS, Encoder
from golden.preparation import Preparation
from golden.scaling import Scaling

NUMBERS = st.integers(-128, 128).map(lambda number: number / 16)
SEQUENCES = arrays(np.float32, st.tuples(*[st.integers(1, 5)] * 3), elements=NUMBERS)
THRESHOLDS = st.sampled_from([1 / 16, 0.5, 1.0])  # all sums are exact


@given(SEQUENCES, THRESHOLDS)
def test_encoders_do_what_plain_loops_do(inputs, threshold):
    for kind in KINDS:
        encoded = Encoder(kind, threshold)(inputs)
        for sequence, found in zip(inputs, encoded, strict=True):
            for feature, values in zip(sequence.T.tolist(), found.T.tolist(), strict=True):
                sent = 0.0
                for x, value in zip(feature, values, strict=True):
                    change = x - sent if kind == "send-on-delta" else x
                    assert value == (change if abs(change) >= threshold else 0)
                    sent += value


@given(SEQUENCES, THRESHOLDS)
def test_what_is_sent_adds_up_to_the_input_but_for_less_than_the_threshold(inputs, threshold):
    encoded = Encoder("send-on-delta", threshold)(inputs)
    assert (abs(encoded.cumsum(1) - inputs) < threshold).all()
    assert (abs(encoded[encoded != 0]) >= threshold).all()


@given(SEQUENCES, THRESHOLDS, st.sampled_from([None, *KINDS]), st.booleans())
def test_step_by_step_gives_what_the_whole_sequence_gives(inputs, threshold, kind, scaled):
    features = inputs.shape[2]
    scaling = Scaling((0.3,) * features, (1.7,) * features) if scaled else None
    prepare = Preparation(scaling, Encoder(kind, threshold) if kind else None)
    whole = prepare(inputs)
    for sequence, expected in zip(inputs, whole, strict=True):
        sent = None
        for x, y in zip(sequence, expected, strict=True):
            found, sent = prepare.step(x, sent)
            assert found.tolist() == y.tolist()


@pytest.mark.parametrize(
    ("kind", "threshold", "sentence"),
    [
        ("delta", 1.0, "an encoder must be send-on-delta or threshold, not 'delta'"),
        ("threshold", 0.0, "the threshold of an encoder must be above 0 and finite, not 0.0"),
        ("threshold", float("nan"), "the threshold of an encoder must be above 0 and finite"),
    ],
)
def test_encoders_that_are_none_rejected(kind, threshold, sentence):
    with pytest.raises(ValueError, match=sentence):
        Encoder(kind, threshold)
