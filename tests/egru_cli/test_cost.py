"""``egru cost``: what it reports, and how it refuses bad input."""

import json

from tests.helpers.command import invoke


def test_the_figures_agree_with_each_other(tmp_path):
    path = tmp_path / "cost.json"
    result = invoke("cost", "--sequences", 3, "--json", path)
    assert result.exit_code == 0, result.stderr
    found = json.loads(path.read_text())
    counters, steps = found["counters"], found["sequences"] * found["steps_per_sequence"]
    assert counters["steps"] == steps
    assert found["cycles_per_step"] == counters["cycles"] / steps
    assert found["latency_mean"] <= found["latency_99_percent"] <= found["latency_worst"]
    seconds = counters["cycles"] / (found["clock_mhz"] * 1e6)
    dense = 2 * found["dense_macs_per_step"] * steps
    assert abs(found["effective_gops"] - dense / seconds / 1e9) < 1e-6
    assert f"{found['cycles_per_step']:.1f}" in result.stdout


def test_a_model_that_does_not_fit_is_refused(tmp_path):
    result = invoke("cost", "--preset", "tiny", "--json", tmp_path / "cost.json")
    assert result.exit_code == 2
    assert "error: " in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())
