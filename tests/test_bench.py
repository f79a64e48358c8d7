"""The benchmark's command line and its figures, on a layer too small to time."""

import pytest
from rich.console import Console
from typer.testing import CliRunner

from golden import bench


@pytest.mark.parametrize("shape", ["1,2,3", "1,2,x,4", "1,2,0,4", "1,2,3,4,5"])
def test_a_wrong_shape_is_refused_in_one_sentence(shape):
    result = CliRunner().invoke(bench.app, [shape])
    assert result.exit_code == 2
    assert "four whole numbers from 1 up" in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_case_has_times_and_the_multiply_accumulates_of_its_events(monkeypatch):
    monkeypatch.setattr(bench, "ACTIVITIES", [0.2])
    speed = {"L1": 1.0, "L2": 1.0, "L3": 1.0}
    found = list(bench.cases([(6, 4, 5, 24)], speed, Console(quiet=True)))
    assert [case["inputs"] for case in found] == ["events"] * 3 + ["dense"] * 3
    for case in found:
        assert all(seconds > 0 for seconds in case["seconds"].values())
        for product, (done, needed, dense) in case["macs"].items():
            assert done in (needed, dense), product
        if case["window"]:
            assert case["near"] == pytest.approx(case["window"], abs=0.15)
    _, needed, dense = found[0]["macs"]["W x"]
    assert needed / dense == pytest.approx(0.2, abs=0.1)
