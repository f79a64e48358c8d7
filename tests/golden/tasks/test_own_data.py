"""A user's own sequences in .npz and .csv files: what is read, and how bad data are refused."""

import numpy as np
import pytest

from golden.tasks import configure
from golden.tasks.checks import check
from golden.tasks.data_files import read
from tests.helpers.streams import generator


def sequences(count=20, steps=4):
    rng = generator(1)
    classes = np.arange(count) % 2
    inputs = rng.normal([5.0, -100.0], [1.0, 20.0], (count, steps, 2))
    inputs[..., 0] += 4 * classes[:, None]
    return inputs, classes


def table(inputs, targets, split=None, lengths=None) -> str:
    """CSV text; targets are (N,), (N, T), or (N, T, K)."""
    count, steps = inputs.shape[:2]
    per_step = np.broadcast_to(targets[:, None], (count, steps)) if targets.ndim == 1 else targets
    per_step = per_step.reshape(count, steps, -1)
    names = ["target"] if per_step.shape[2] == 1 else ["target x", "target y"]
    lines = [["sequence", "step", "heat", "load", *names] + ["split"] * (split is not None)]
    for n in range(count):
        for t in range(steps if lengths is None else lengths[n]):
            cells = [f"s{n}", t, *inputs[n, t].tolist(), *per_step[n, t].tolist()]
            lines.append(cells + ([split[n]] if split is not None else []))
    return "\n".join(",".join(map(str, line)) for line in lines) + "\n"


@pytest.mark.parametrize("targets", ["classes", "classes of steps", "values of steps"])
def test_a_table_holds_the_same_as_arrays(tmp_path, targets):
    inputs, classes = sequences()
    rng = generator(2)
    target = {
        "classes": classes,
        "classes of steps": rng.integers(-1, 3, (20, 4)),
        "values of steps": rng.normal(size=(20, 4, 2)),
    }[targets]
    split = np.array(["train", "validation", "test", "train"] * 5)
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=target, split=split)
    (tmp_path / "a.csv").write_text(table(inputs, target, split))
    arrays, rows = read(tmp_path / "a.npz"), read(tmp_path / "a.csv")
    for name in ("inputs", "targets", "split"):
        assert np.array_equal(getattr(arrays, name), getattr(rows, name)), name
        assert getattr(arrays, name).dtype == getattr(rows, name).dtype
    assert rows.features == ("heat", "load")
    check(configure("own-data", tmp_path / "a.csv"), validation=True)


@pytest.mark.parametrize("targets", ["classes", "classes of steps", "values of steps"])
def test_a_table_and_padded_arrays_of_different_lengths_hold_the_same(tmp_path, targets):
    inputs, classes = sequences()
    rng = generator(3)
    lengths = rng.integers(1, 5, 20)
    padding = np.arange(4) >= lengths[:, None]
    inputs[padding] = np.nan
    target = {
        "classes": classes,
        "classes of steps": rng.integers(-1, 3, (20, 4)),
        "values of steps": rng.normal(size=(20, 4, 2)),
    }[targets]
    if target.ndim > 1:
        target[padding] = -99 if target.ndim == 2 else np.nan
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=target, lengths=lengths.astype(np.uint8))
    (tmp_path / "a.csv").write_text(table(inputs, target, lengths=lengths))
    arrays, rows = read(tmp_path / "a.npz"), read(tmp_path / "a.csv")
    for name in ("inputs", "targets", "lengths"):
        first, second = getattr(arrays, name), getattr(rows, name)
        assert np.array_equal(first, second, equal_nan=first.dtype.kind == "f"), name
        assert first.dtype == second.dtype
    task = configure("own-data", tmp_path / "a.npz")
    check(task, validation=True)
    split = task.everything()
    scored = task.objective.scored(split.targets)
    if target.ndim > 1:
        beyond = np.arange(4) >= split.lengths[:, None]
        assert not scored[beyond].any()
        assert not split.inputs[beyond].any()
        assert scored[~beyond].mean() > 0.5


def test_symbols_of_different_lengths_have_anything_in_the_padding(tmp_path):
    symbols = np.array([[0, 1, -9], [2, 999, 999], [1, 1, 0]])
    np.savez(tmp_path / "a.npz", inputs=symbols, targets=np.arange(3), lengths=[2, 1, 3])
    task = configure("own-data", tmp_path / "a.npz", test_share=0.4)
    assert task.input_size == 3
    check(task)


def test_inputs_are_scaled_by_real_steps_only(tmp_path):
    inputs, classes = sequences()
    lengths = generator(4).integers(1, 5, 20)
    real = np.arange(4) < lengths[:, None]
    inputs[~real] = 1e30
    split = np.array((["train"] * 3 + ["test"]) * 5)
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=classes, split=split, lengths=lengths)
    task = configure("own-data", tmp_path / "a.npz")
    steps = inputs[real & (split == "train")[:, None]]
    assert task.input_scaling.mean == pytest.approx(steps.mean(0), rel=1e-6)
    assert task.input_scaling.deviation == pytest.approx(steps.std(0), rel=1e-6)


def test_inputs_are_scaled_by_the_training_sequences_only(tmp_path):
    inputs, classes = sequences()
    split = np.array((["train"] * 3 + ["test"]) * 5)
    inputs[split == "test"] *= 1000
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=classes, split=split)
    task = configure("own-data", tmp_path / "a.npz")
    trained = task.everything().inputs
    assert np.abs(trained.mean((0, 1))).max() < 1e-5
    assert np.abs(trained.std((0, 1)) - 1).max() < 1e-5
    assert np.abs(task.test().inputs).max() > 100


def test_without_a_split_a_share_of_the_sequences_is_the_test_set(tmp_path):
    inputs, classes = sequences()
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=classes)
    task = configure("own-data", tmp_path / "a.npz", test_share=0.3)
    assert (len(task.test().targets), len(task.everything().targets)) == (6, 14)
    whole = np.concatenate([task.test().inputs, task.everything().inputs])
    assert len(np.unique(whole, axis=0)) == 20


INPUTS, CLASSES = sequences()


def changed(place, value):
    inputs = INPUTS.copy()
    inputs[place] = value
    return inputs


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"inputs": INPUTS}, "has no array named 'targets': it holds inputs"),
        ({"inputs": INPUTS[0], "targets": CLASSES}, "inputs must be numbers (N, T, C), or whole"),
        ({"inputs": INPUTS[:, :0], "targets": CLASSES}, "not float64 of shape (20, 0, 2)"),
        ({"inputs": INPUTS.astype(str), "targets": CLASSES}, "inputs must be numbers (N, T, C)"),
        ({"inputs": INPUTS, "targets": CLASSES[1:]}, "targets must be whole numbers (20,) or"),
        ({"inputs": INPUTS, "targets": CLASSES / 2}, "real numbers (20, K) or (20, 4, K), not"),
        ({"inputs": INPUTS, "targets": CLASSES * 0}, "has targets of fewer than two classes"),
        ({"inputs": INPUTS, "targets": CLASSES - 2}, "the target of 0 is -2: expected classes"),
        ({"inputs": changed((3, 2, 1), np.nan), "targets": CLASSES}, "inputs[3, 2, 1] is nan"),
        ({"inputs": changed((3, 2, 1), 1e300), "targets": CLASSES}, "inputs[3, 2, 1] is inf"),
        ({"inputs": changed((..., 1), 7), "targets": CLASSES}, "feature 1 is 7.0 in every step"),
        ({"inputs": INPUTS[:1], "targets": CLASSES[:1]}, "has targets of fewer than two classes"),
        ({"inputs": INPUTS[:2], "targets": CLASSES[:2]}, "has 2 sequences, too few for a test"),
        ({"inputs": INPUTS, "targets": CLASSES, "length": CLASSES}, "an array named 'length'"),
        ({"inputs": INPUTS, "targets": CLASSES, "split": CLASSES}, "split must be 20 texts, each"),
        (
            {"inputs": INPUTS, "targets": CLASSES, "lengths": np.r_[[4] * 19, 0]},
            "the length of sequence 19 is 0: expected 1 to 4, the steps that there are",
        ),
        (
            {"inputs": INPUTS, "targets": CLASSES, "lengths": CLASSES + 4},
            "the length of sequence 1 is 5: expected 1 to 4",
        ),
        (
            {"inputs": INPUTS, "targets": CLASSES, "lengths": -CLASSES + 1},
            "the length of sequence 1 is 0: expected 1 to 4",
        ),
        (
            {"inputs": INPUTS, "targets": CLASSES, "lengths": np.full(20, 4.0)},
            "lengths must be whole numbers of shape (20,), one for each sequence, not float64",
        ),
        (
            {"inputs": INPUTS, "targets": CLASSES, "lengths": np.full(19, 4)},
            "lengths must be whole numbers of shape (20,), one for each sequence, not int64 of",
        ),
        (
            {"inputs": changed((3, 2, 1), np.nan), "targets": CLASSES, "lengths": np.full(20, 3)},
            "inputs[3, 2, 1] is nan",
        ),
        (
            {"inputs": INPUTS, "targets": CLASSES, "split": np.array(["train"] * 19 + ["tst"])},
            "the split of sequence 19 is 'tst': expected train, validation, test",
        ),
        (
            {"inputs": INPUTS, "targets": CLASSES, "split": np.array(["train"] * 20)},
            "split has no sequence for test",
        ),
    ],
)
def test_bad_arrays_rejected_with_their_place(tmp_path, arrays, sentence):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        check(configure("own-data", tmp_path / "a.npz"))
    assert sentence in str(caught.value)
    assert "a.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("sequence,step", "sequence,time", "line 1: expected the titles sequence, step, one or"),
        ("heat,load", "heat,heat", "line 1: expected the titles sequence, step, one or more"),
        ("\ns0,2,", "\ns0,2,hot,", "line 4: expected 5 cells, as in the titles, not 6"),
        ("\ns0,2,", "\ns0,two,", "line 4, column step: expected a finite number, not 'two'"),
        ("\ns0,2,", "\ns0,2,nan\n#", "line 4: expected 5 cells"),
        ("\ns0,2,", "\ns0,3,", "line 4: step 3 of sequence s0 must follow in the line below"),
    ],
)
def test_bad_tables_rejected_with_their_line(tmp_path, old, new, sentence):
    text = table(*sequences())
    assert old in text
    (tmp_path / "a.csv").write_text(text.replace(old, new))
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        check(configure("own-data", tmp_path / "a.csv"))
    assert sentence in str(caught.value)


def test_a_column_of_text_rejected_by_name(tmp_path):
    inputs, classes = sequences()
    text = table(inputs, classes).replace(f"{inputs[1, 2, 1]}", "high")
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(
        ValueError, match="line 8, column load: expected a finite number, not 'high"
    ):
        read(tmp_path / "a.csv")


def test_other_files_rejected(tmp_path):
    for name in ("a.npz", "a.csv", "a.txt"):
        (tmp_path / name).write_bytes(b"\xff\xfe no data")
        with pytest.raises(ValueError, match=f"{name}"):
            read(tmp_path / name)
