"""``egru eval --budget``: its tables, as JSON, and with the RTL."""

import json

import pytest

import sim
from egru_cli.budget import print_budget
from golden.budget import error_budget
from golden.model_file import load
from golden.objective import CLASSES
from tests.helpers.command import invoke
from tests.helpers.device import save
from tests.helpers.toy import Toy

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
def model(tmp_path):
    return save(tmp_path / "m.safetensors", 2, 2, {"task": "toy"})


def test_the_budget_as_json_is_that_of_the_function(model):
    result = invoke("eval", model, "--budget", "--json")
    assert result.exit_code == 0, result.stderr
    file = load(model)
    expected = error_budget(Toy(), file.network(), file.twin())
    assert json.loads(result.stdout) == {"model": str(model), "task": "toy", **expected}


def test_the_tables_show_every_figure(model):
    result = invoke("eval", model, "--budget")
    assert result.exit_code == 0, result.stderr
    file = load(model)
    found = error_budget(Toy(), file.network(), file.twin())
    shown = [f"{metric:.2%}" for metric in found["accuracy"].values()]
    for layer in found["layers"]:
        shown += [f"{layer[key]:.2%}" for key in ("events_differ", "events_differ_alone")]
        for bits in (layer["headroom_bits"], layer["guaranteed_bits"], found["readout"]):
            shown += [f"{value:.1f}" for value in bits.values()]
    for text in shown:
        assert f" {text} " in result.stdout


def test_the_rtl_is_simulated_if_asked(model, monkeypatch):
    run = sim.run
    monkeypatch.setattr(
        sim,
        "run",
        lambda model, inputs, **_: run(model, inputs, backend="amaranth", config="tiny"),
    )
    result = invoke("eval", model, "--budget", "--rtl", 4, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["simulated"]
    assert (found["sequences"], found["mismatches"]) == (4, 0)
    assert found["RTL"] == found["integer"]


def test_sums_that_are_all_zero_have_no_bits(capsys):
    budget = {
        "accuracy": {"float": 0.5},
        "layers": [
            {
                "events_differ": 0.0,
                "events_differ_alone": 0.0,
                "headroom_bits": {"r": None},
                "guaranteed_bits": {"r": 3.0},
            }
        ],
        "readout": {},
    }
    print_budget(budget, CLASSES)
    assert "all are 0" in capsys.readouterr().out


def test_the_rtl_without_a_budget_is_refused(model):
    result = invoke("eval", model, "--rtl", 4)
    assert result.exit_code == 2
    assert "error: --rtl has no effect without --budget" in result.stderr
