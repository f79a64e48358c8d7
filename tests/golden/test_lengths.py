"""Lengths of padded sequences: what is valid, and how the rest is refused."""

import re

import numpy as np
import pytest

from golden.lengths import blank, by_length, checked, real_steps


def test_without_lengths_all_sequences_have_all_steps():
    assert checked(None, 3, 5).tolist() == [5, 5, 5]
    assert checked([1, 5], 2, 5).dtype == np.int64


def test_padding_is_replaced_and_the_steps_before_it_are_kept():
    array = np.array([[1.0, 2, 3], [4, np.nan, np.inf]])
    assert blank(array, np.array([3, 1])).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert np.isnan(array[1, 1])
    assert real_steps(np.array([3, 1]), 3).tolist() == [[True] * 3, [True, False, False]]


def test_sequences_are_found_by_their_length():
    found = {length: chosen.tolist() for length, chosen in by_length(np.array([2, 7, 2]))}
    assert found == {2: [0, 2], 7: [1]}


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ([5, 0, 5], "the length of sequence 1 is 0: expected 1 to 5, the steps that there are"),
        ([5, 5, -2], "the length of sequence 2 is -2: expected 1 to 5"),
        ([6, 5, 5], "the length of sequence 0 is 6: expected 1 to 5"),
        (
            [5, 5],
            "lengths must be whole numbers of shape (3,), one for each sequence, not int64 of",
        ),
        ([[5], [5], [5]], "not int64 of shape (3, 1)"),
        (
            [5.0, 5.0, 5.0],
            "lengths must be whole numbers of shape (3,), one for each sequence, not",
        ),
        ([True, True, True], "not bool of shape (3,)"),
        (["5", "5", "5"], "not <U1 of shape (3,)"),
    ],
)
def test_lengths_that_do_not_fit_rejected_with_the_sequence(lengths, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        checked(lengths, 3, 5)
    assert "\n" not in str(caught.value)
