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


def test_the_trace_of_a_sequence_adds_up_to_its_counters(tmp_path):
    figures, path = tmp_path / "cost.json", tmp_path / "trace.json"
    result = invoke("cost", "--sequences", 1, "--json", figures, "--trace", path)
    assert result.exit_code == 0, result.stderr
    assert f"wrote {path}" in result.stderr
    found = json.loads(figures.read_text())
    events = json.loads(path.read_text())["traceEvents"]
    threads = {e["args"]["name"]: e["tid"] for e in events if e["name"] == "thread_name"}
    spans = [event for event in events if event["ph"] == "X"]
    lanes = [span for span in spans if span["tid"] == threads["lanes"]]
    assert sum(span["args"]["cycles"] for span in lanes) == found["counters"]["rows"]
    ends = [span["args"]["cycle"] + span["args"]["cycles"] for span in spans]
    assert max(ends) - 1 == found["counters"]["cycles"]
    last = max(span["ts"] + span["dur"] for span in spans)
    assert abs(last * found["clock_mhz"] - max(ends)) < 0.1


def test_a_trace_that_cannot_be_written_is_refused(tmp_path):
    result = invoke("cost", "--trace", tmp_path)
    assert result.exit_code == 2
    assert f"error: {tmp_path} is not a regular file" in result.stderr
