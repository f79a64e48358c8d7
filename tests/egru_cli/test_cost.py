"""``egru cost``: what it reports, and how it refuses bad input."""

import json

import numpy as np
import pytest

from egru_cli import sweep
from egru_cli.workers import workers
from egru_hw.contract.config import preset
from egru_hw.cost import area
from golden.model_file import load
from tests.helpers.command import invoke, refusal


@pytest.fixture
def rows(monkeypatch, tmp_path):
    """Runs the command; ``rows`` is what it writes to OUT/cost.json."""

    def run(*words):
        result = invoke("cost", *words, "--sequences", 2, "--out", tmp_path)
        assert result.exit_code == 0, result.output
        assert (tmp_path / "cost.png").stat().st_size > 10_000
        run.result = result
        return json.loads((tmp_path / "cost.json").read_text())["rows"]

    return run


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
    assert found["resources"] == area.area(preset("ulx3s-85f")).used
    assert found["resources_are"] == found["mhz_is"] == "recorded"
    assert found["variants"] == ["85F"]
    energy = found["energy_nj_per_step"]
    for name in ("low", "typical", "high"):
        assert energy["total"][name] == energy["dynamic"][name] + energy["static"][name]
    assert energy["total"]["low"] < energy["total"]["typical"] < energy["total"]["high"]
    assert f"{energy['total']['typical']:.0f} nJ" in result.stdout


def test_a_model_that_does_not_fit_is_refused(tmp_path):
    result = invoke("cost", "--preset", "tiny", "--json", tmp_path / "cost.json")
    assert result.exit_code == 2
    assert "error: " in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_a_dense_gru_takes_every_row_every_step(tmp_path):
    result = invoke("cost", "--sequences", 2, "--json", tmp_path / "cost.json")
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "cost.json").read_text())
    model, config = load("mnist1d").twin(), preset("ulx3s-85f")
    rows = sum(
        -(-np.prod(np.shape(matrix)[:1]) // config.lanes) * np.shape(matrix)[1]
        for layer in model.layers
        for matrix in (layer.weight_input, layer.weight_recurrent)
    )
    assert found["dense_cycles_per_step_at_least"] == rows
    assert found["cycles_per_step"] < rows


def test_the_processor_is_timed_if_asked(tmp_path):
    result = invoke("cost", "--sequences", 1, "--time-gru", "--json", tmp_path / "cost.json")
    found = json.loads((tmp_path / "cost.json").read_text())["processor_seconds_per_step"]
    assert list(found) == ["torch.nn.GRU", "golden.EGRU"]
    for name, seconds in found.items():
        assert 1e-7 < seconds < 1
        assert f"{name} on this processor, median" in result.stdout


def test_an_area_that_is_interpolated_is_marked(monkeypatch):
    config = preset("ulx3s-12f")
    others = tuple(build for build in area.recorded() if build.config != config)
    for builds, mark in ((area.recorded(), "recorded"), (others, "interpolated")):
        monkeypatch.setattr(area, "recorded", lambda builds=builds: builds)
        result = invoke("cost", "--preset", "ulx3s-12f", "--sequences", 1)
        assert f"LUTs, {mark}" in result.stdout
        assert f"MHz reached, {mark}" in result.stdout


def test_a_search_names_the_smallest_and_the_fastest_configuration(rows):
    found = rows("--search", "--jobs", 1)
    shown = rows.result.stdout
    for what, some in (("preset", [r for r in found if r["preset"]]), ("configuration", found)):
        fastest = min(some, key=lambda row: (row["cycles_per_step"], row["resources"]["LUTs"]))
        on_smallest = [row for row in some if "12F" in row["variants"]]
        smallest = min(on_smallest, key=lambda row: row["resources"]["LUTs"])
        for best, row in (("fastest", fastest), ("smallest", smallest)):
            (line,) = [text for text in shown.splitlines() if text.startswith(f"{best} {what}: ")]
            assert f"lanes={row['config']['lanes']} " in line or f": {row['preset']} on" in line
            assert line.endswith(
                f"ulx3s {row['variants'][0]}, {row['cycles_per_step']:.1f} cycles per step"
            )
    assert {"ulx3s-12f", "ulx3s-45f", "ulx3s-85f"} <= {row["preset"] for row in found}
    assert any(row["resources_are"] == "interpolated" for row in found)
    assert "~" in shown


def test_the_work_of_a_search_is_done_by_a_cluster(rows):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster:
        ours = rows("--search", "--cluster", cluster.scheduler_address)
        with workers(None, cluster.scheduler_address) as pool:
            failure = pool.submit(sweep.trained, ["train", "nothing"], None, ".").exception()
    assert isinstance(failure, sweep.TrainingFailed)
    assert "there is no task 'nothing'" in str(failure)
    assert ours == rows("--search", "--jobs", 1)


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:x"])
def test_an_address_that_is_none_gets_one_sentence(address, tmp_path):
    pytest.importorskip("distributed")
    sentence = refusal(tmp_path, "cost", "--search", "--sequences", 1, "--cluster", address)
    assert sentence.startswith(f"--cluster {address}: no scheduler of a Dask cluster answers there")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("mnist1d", "epochs=1"), "NAME=VALUE has no effect without --sweep: leave it out"),
        (("--out", "x"), "--out has no effect without --search or --sweep: leave it out"),
        (("--jobs", "2"), "--jobs has no effect without --search or --sweep"),
        (("--cluster", "x"), "--cluster has no effect without --search or --sweep"),
        (("--search", "--json", "x"), "--json has no effect with --search or --sweep"),
        (("--search", "--time-gru"), "--time-gru has no effect with --search or --sweep"),
        (("--search", "--preset", "tiny"), "--preset has no effect with --search: leave it out"),
        (("--search", "--cluster", "x", "--jobs", "1"), "--jobs has no effect with --cluster"),
        (("mnist1d", "--sweep"), "--sweep needs MODEL and at least one NAME=VALUE,VALUE after it"),
        (("mnist1d", "cell=gru", "--sweep"), "'cell' cannot be swept"),
        (("--board", "ulx4s"), "'ulx4s' is not a board: expected one of ulx3s."),
    ],
)
def test_options_without_an_effect_are_refused(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("cost", *words)
    assert result.exit_code == 2
    assert f"error: {sentence}" in result.stderr
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
