"""The long comparison, in short."""

import json
import sys

import pytest

from egru_hw.contract.config import PRESETS
from tests import soak
from tests.helpers.simulation import simulate_tiny, spoil


@pytest.mark.parametrize("case", [sorted(PRESETS).index("tiny") + n * len(PRESETS) for n in (0, 1)])
def test_a_random_case_is_bit_exact(case):
    assert soak.run_case(case).comparison.mismatches == 0


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(soak, "report", lambda: tmp_path / "soak.json")

    def soaked(values: int, case) -> tuple[int, dict]:
        monkeypatch.setattr(sys, "argv", ["soak", str(values)])
        monkeypatch.setattr(soak, "run_case", case)
        return soak.main(), json.loads((tmp_path / "soak.json").read_text())

    return soaked


def test_it_goes_on_where_it_was_stopped(run):
    cases = []
    right = simulate_tiny()
    for times in (1, 3):
        status, report = run(times * right.comparison.compared, lambda n: cases.append(n) or right)
        assert status == 0
        assert report["cases"] == times
    assert cases == [0, 1, 2]


def test_a_mismatch_ends_it_and_is_named(run, capsys):
    wrong = spoil(simulate_tiny(), "event")
    status, report = run(10**9, lambda n: wrong)
    assert (status, report["cases"], report["mismatches"]) == (1, 1, 1)
    assert "mismatch in case 0: first event at sequence 2" in capsys.readouterr().out


def test_a_damaged_report_is_one_sentence(run, tmp_path, capsys):
    (tmp_path / "soak.json").write_text('{"cases": 3')
    with pytest.raises(json.JSONDecodeError):  # of this test's own look at the report
        run(1, lambda n: simulate_tiny())
    assert "soak.json is damaged: delete it to start over" in capsys.readouterr().err
