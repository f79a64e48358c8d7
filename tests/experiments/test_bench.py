"""The command line and the figures of the benchmark, on a small layer."""

import pytest
import torch

from experiments.training_speed import cases, machine
from experiments.training_speed.layer import rows_read
from golden import core
from golden.cells.event_gru import EGRU
from tests.helpers.command import invoke


@pytest.mark.parametrize("shape", ["1,2,3", "1,2,x,4", "1,2,0,4", "1,2,3,4,5"])
def test_a_wrong_shape_is_refused_in_one_sentence(shape):
    result = invoke("bench", shape)
    assert result.exit_code == 2
    assert "four positive integers" in " ".join(result.output.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize("shape", ["1,1,1,100000", "10000,10000,1,8"])
def test_a_shape_beyond_the_limits_rejected_at_once(shape):
    result = invoke("bench", shape)
    assert result.exit_code == 2
    assert "must be at most" in result.output


def test_rows_are_read_once_for_all_sequences_and_those_of_r_in_every_step():
    egru = EGRU(5, 4)
    with torch.no_grad():
        egru.layer_parameters(0)[4].fill_(1.0)  # silent from the first step on
    x, y0 = torch.zeros(3, 2, 5), torch.zeros(1, 2, 4)
    x[0, 0, 1] = x[2, 1, 1] = x[1, 0, 4] = 1.0
    y0[0, 0, 2] = y0[0, 1, 2] = y0[0, 1, 3] = 0.5
    assert rows_read(egru, x, (y0, torch.zeros(1, 2, 4))) == (2, 2)


def test_the_bound_counts_far_reads_if_the_weights_exceed_the_second_level_cache():
    torch.set_num_threads(1)
    speed = {"L1": 4.0, "L2": 2.0, "L3": 1.0}  # GB/s
    macs = {"W x": [0, 10, 20], "R y": [0, 30, 40]}
    assert machine.bound(8, 8, macs, (5, 5), speed) == pytest.approx((10 + 30) / 1e9)
    size = 1000
    assert machine.bound(size, size, macs, (5, 7), speed) == pytest.approx(12 * size * 12 / 1e9)
    macs["R y"][1] = 10**6
    assert machine.bound(size, size, macs, (5, 7), speed) == pytest.approx(
        (12 * size * 5 + 10**6) / 1e9
    )


def test_a_case_has_times_and_the_multiply_accumulates_of_its_events(monkeypatch):
    monkeypatch.setattr(cases, "ACTIVITIES", [0.2])
    speed = {"L1": 1.0, "L2": 1.0, "L3": 1.0}
    found = [case for kind in cases.INPUTS for case in cases.cases((6, 4, 5, 24), kind, speed)]
    assert [case.inputs for case in found] == ["events"] * 3 + ["dense"] * 3
    for case in found:
        assert all(seconds > 0 for seconds in case.seconds.values())
        for product, (done, needed, dense) in case.macs.items():
            assert done in (needed, dense), product
        if case.window:
            assert case.near == pytest.approx(case.window, abs=0.15)
    _, needed, dense = found[0].macs["W x"]
    assert needed / dense == pytest.approx(0.2, abs=0.1)


def test_the_second_level_cache_is_the_processors_or_else_that_of_the_cost_model(
    monkeypatch, tmp_path
):
    known = tmp_path / "size"
    monkeypatch.setattr(machine, "SECOND_LEVEL_SIZE", known)
    assert machine.second_level() == core.policy.SECOND_LEVEL
    for text, expected in (("512K\n", 512 << 10), ("2048K\n", 2 << 20), ("?", 2 << 20)):
        known.write_text(text)
        assert machine.second_level() == expected
