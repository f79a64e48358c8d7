"""The public names of ``golden``, prediction, and shipped models by name."""

import subprocess
import sys

import numpy as np
import pytest

import golden
from golden import Prediction, load_model
from golden.model_file import ModelFileError, find, shipped


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_importing_golden_loads_neither_torch_nor_numpy():
    code = "import sys, golden; print([m for m in ('torch', 'numpy', 'typer') if m in sys.modules])"
    assert run(code) == "[]"


def test_without_torch_the_integer_model_works_and_the_rest_names_the_extra():
    code = """
import sys; sys.modules["torch"] = None
import numpy as np, golden
print(golden.load_model("mnist1d").predict(np.zeros((2, 40, 1))).classes.shape)
try: golden.EGRU
except ImportError as error: print(error)
try: golden.load_model("mnist1d").predict(np.zeros((2, 40, 1)), "float")
except ImportError as error: print(error)
"""
    assert run(code).splitlines() == [
        "(2,)",
        "golden.EGRU needs PyTorch: install the extra egru-hw[train]",
        "the float network needs PyTorch: install the extra egru-hw[train]",
    ]


def test_shipped_models_are_found_by_name_and_files_by_path(tmp_path):
    assert set(shipped()) == {"mnist1d", "digits", "charlm"}
    assert find("digits") == shipped()["digits"] == find(shipped()["digits"])
    with pytest.raises(
        ModelFileError, match=r"no model file at mnist2d: .*charlm, digits, mnist1d"
    ):
        find("mnist2d")


def test_a_prediction_is_the_class_and_the_softmax_of_the_logits():
    prediction = Prediction(np.log([[1.0, 3.0], [2.0, 2.0]]) + 1000)
    assert prediction.classes.tolist() == [1, 0]
    assert prediction.probabilities == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))


def test_float_and_integer_models_predict_a_test_sequence_alike():
    from golden.tasks import find as find_task

    inputs, targets = find_task("mnist1d").test()
    model = load_model("mnist1d")
    integer, real = (model.predict(inputs[:50], kind) for kind in ("integer", "float"))
    assert integer.probabilities == pytest.approx(real.probabilities, abs=0.2)
    assert (integer.classes == targets[:50]).mean() > 0.9
    assert np.array_equal(model.predict(inputs[3]).classes, integer.classes[3:4])
    assert integer.probabilities.sum(1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (np.zeros((2, 40, 2)), r"shape \(N, T, 1\), not \(2, 40, 2\)"),
        (np.zeros((0, 40, 1)), r"shape \(N, T, 1\), not \(0, 40, 1\)"),
        (np.full((1, 3, 1), np.nan), "must be finite"),
    ],
)
@pytest.mark.parametrize("kind", ["integer", "float"])
def test_inputs_that_do_not_fit_are_refused(inputs, words, kind):
    with pytest.raises(ValueError, match=words):
        load_model("mnist1d").predict(inputs, kind)


def test_a_model_of_words_refuses_real_numbers(tmp_path):
    golden.save_model(tmp_path / "words", golden.WordNetwork(7, 4, 5), None, {})
    with pytest.raises(ModelFileError, match="holds a model of words"):
        load_model(tmp_path / "words").predict(np.zeros((1, 4, 1)), "float")
