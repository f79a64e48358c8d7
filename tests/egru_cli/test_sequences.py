"""Files of sequences: every form that is read, and a sentence for every other."""

import re
import zipfile

import numpy as np
import pytest

from egru_cli.sequences import read
from tests.helpers.streams import generator


@pytest.fixture
def sequences():
    """(N, T, C) with N = 3, T = 5, C = 2."""
    return generator(1).normal(size=(3, 5, 2)).astype(np.float32)


def test_arrays_of_every_shape_are_read(tmp_path, sequences):
    path = tmp_path / "x.npy"
    for stored, features, expected in (
        (sequences, 2, sequences),
        (sequences[0], 2, sequences[:1]),
        (sequences[0, :, 0], 1, sequences[:1, :, :1]),
        (sequences[..., :1], 1, sequences[..., :1]),
    ):
        np.save(path, stored)
        found, lengths = read(path, features)
        assert lengths is None
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "uint8", "bool"])
def test_numbers_of_every_type_are_read(tmp_path, dtype):
    np.save(tmp_path / "x.npy", np.array([[0, 1], [1, 0]], dtype))
    assert np.array_equal(read(tmp_path / "x.npy", 2).inputs, [[[0, 1], [1, 0]]])


def test_an_archive_gives_its_only_array_or_the_one_named_inputs(tmp_path, sequences):
    path = tmp_path / "x.npz"
    np.savez(path, anything=sequences)
    assert np.array_equal(read(path, 2).inputs, sequences)
    np.savez(path, labels=np.arange(3), inputs=sequences)
    assert np.array_equal(read(path, 2).inputs, sequences)


@pytest.mark.parametrize("titles", ["", "left, right\n", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_one_sequence_with_a_line_per_step(tmp_path, titles, end):
    path = tmp_path / "x.csv"
    path.write_text(f"{titles}0.5, -1{end}2,3e-2{end}{end}", encoding="utf-8", newline="")
    assert np.array_equal(read(path, 2).inputs, np.float32([[[0.5, -1], [2, 0.03]]]))


def test_padded_sequences_are_read_with_their_lengths(tmp_path, sequences):
    path, lengths = tmp_path / "x.npz", np.array([5, 2, 3])
    padding = np.arange(5) >= lengths[:, None]
    sequences[padding] = np.nan
    for name in ("inputs", "anything"):
        np.savez(path, **{name: sequences}, lengths=lengths)
        found = read(path, 2)
        assert np.array_equal(found.lengths, lengths)
        assert np.array_equal(found.inputs[~padding], sequences[~padding])
        assert not found.inputs[padding].any()


@pytest.mark.parametrize("others", [(), ("split", "target"), ("target x", "target y")])
def test_a_table_with_the_titles_of_a_training_holds_several_sequences(tmp_path, others):
    path = tmp_path / "x.csv"
    lines = [("sequence", "step", *others, "left", "right")]
    for name, steps in (("b", 2), ("a", 3), ("c", 1)):
        lines += [(name, t + 5, *["?"] * len(others), t, -t - 0.5) for t in range(steps)]
    path.write_text("\n".join(", ".join(map(str, line)) for line in lines))
    inputs, lengths = read(path, 2)
    assert lengths.tolist() == [2, 3, 1]
    step = np.arange(3)
    expected = np.stack([step, -step - 0.5], 1) * (step < lengths[:, None])[..., None]
    assert np.array_equal(inputs, expected)
    refuse(path, 3, "has the shape (3, 3, 2): the model expects (N, T, 3)")


def refuse(path, features, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        read(path, features)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((3, 5, 4)), "has the shape (3, 5, 4): the model expects (N, T, 2), N sequences"),
        (np.zeros(5), "has the shape (5,): the model expects (N, T, 2), N sequences"),
        (np.zeros((2, 3, 5, 2)), "has the shape (2, 3, 5, 2)"),
        (np.zeros(()), "has the shape ()"),
        (np.zeros((3, 0, 2)), "is empty: its shape is (3, 0, 2)"),
        (np.array(["a", "b"]), "holds values of type <U1: expected real numbers"),
        (np.zeros((5, 2), complex), "holds values of type complex128"),
        (np.array([[1, 2], [3, float("nan")]]), "has nan at sequence 0, step 1, feature 1"),
        (np.array([[1, 1e39]]), "has inf at sequence 0, step 0, feature 1"),
        (np.array([None, {}]), "holds Python objects"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_that_are_no_sequences_are_refused(tmp_path, array, sentence, suffix):
    path = tmp_path / f"x{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    else:
        np.savez(path, array)
    refuse(path, 2, sentence)


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ([5, 0, 5], "the length of sequence 1 is 0: expected 1 to 5"),
        ([5, 5, -1], "the length of sequence 2 is -1: expected 1 to 5"),
        ([5, 5, 6], "the length of sequence 2 is 6: expected 1 to 5"),
        ([5, 5], "lengths must be whole numbers of shape (3,), one for each sequence"),
        ([5.0, 5.0, 5.0], "lengths must be whole numbers of shape (3,), one for each sequence"),
        ([2, 5, 5], "has nan at sequence 0, step 1, feature 1: expected finite numbers"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(tmp_path, sequences, lengths, sentence):
    sequences[0, 1:, 1] = np.nan
    np.savez(tmp_path / "x.npz", inputs=sequences, lengths=np.array(lengths))
    refuse(tmp_path / "x.npz", 2, sentence)


def test_a_shape_for_one_feature_is_named_where_it_is_possible(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 5)))
    refuse(tmp_path / "x.npy", 1, "expects (N, T, 1), N sequences of T steps, or (T, 1), or (T,)")


def test_an_archive_without_the_key_is_refused_with_what_it_holds(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(2), b=np.zeros(2))
    refuse(tmp_path / "x.npz", 2, "has no array named 'inputs': it holds a, b")
    np.savez(tmp_path / "x.npz")
    refuse(tmp_path / "x.npz", 2, "it holds no arrays")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
def test_damaged_files_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    refuse(path, 2, "written by numpy, or it is damaged")


def test_a_damaged_header_is_refused(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((3, 2)))
    path.write_bytes(path.read_bytes().replace(b"'descr'", b"b'escr'"))
    refuse(path, 2, "written by numpy, or it is damaged")


def test_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, np.ones((3, 2)))
    begin = path.read_bytes().index(b"arr_0.npy") + 29  # of what is compressed
    path.write_bytes(path.read_bytes()[:begin] + b"\xff" * 9 + path.read_bytes()[begin + 9 :])
    refuse(path, 2, "written by numpy, or it is damaged")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.txt", "no array")
    refuse(path, 2, "holds values of type")


def test_an_archive_named_as_an_array_and_the_reverse_are_refused(tmp_path):
    with open(tmp_path / "x.npy", "wb") as file:
        np.savez(file, np.zeros((5, 2)))
    refuse(tmp_path / "x.npy", 2, "is an archive of arrays: name it *.npz")
    with open(tmp_path / "x.npz", "wb") as file:
        np.save(file, np.zeros((5, 2)))
    refuse(tmp_path / "x.npz", 2, "is not an archive of arrays")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no line of numbers, separated by commas"),
        ("left,right\n", "has no line of numbers, separated by commas"),
        ("1,2\n3,x\n", "line 2: expected a number, not 'x'"),
        ("1,x\n3,4\n", "line 1: expected a number, not 'x'"),
        ("1,2\n\n3,\n", "line 3: expected a number, not ''"),
        ("1,2\n3,4,5\n", "line 2: expected 2 numbers, as above, not 3"),
        ("1;2\n", "has no line of numbers, separated by commas"),
        ("1,2\nnan,4\n", "has nan at sequence 0, step 1, feature 0"),
        ("1,2,3\n", "has the shape (1, 3): the model expects (N, T, 2), N sequences"),
        ("\xff\xfe", "is not a text file in UTF-8"),
        ("sequence,step,a,b\n0,0,1,2\n0,2,3,4\n", "line 3: step 2 of sequence 0 must follow"),
        ("sequence,step,a,b\n0,0,1,x\n", "line 2, column b: expected a finite number, not 'x'"),
        ("sequence,step\n0,0\n", "one or more features, each once, not sequence, step"),
    ],
)
def test_tables_that_are_no_sequence_are_refused(tmp_path, text, sentence):
    (tmp_path / "x.csv").write_text(text, encoding="latin-1")
    refuse(tmp_path / "x.csv", 2, sentence)


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "x.txt").write_text("1,2\n")
    refuse(tmp_path / "x.txt", 2, "expected a file named *.npy, *.npz or *.csv")


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    for suffix in (".npy", ".npz", ".csv"):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / f"x{suffix}", 2)
