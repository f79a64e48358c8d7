"""``egru sim``: what it reports, and how it refuses bad input."""

import json
import sys

import pytest

import egru_cli.sim as command
from egru_hw.cost.timeline import timeline
from golden.model_file import load
from golden.tasks import TASKS
from tests.helpers.command import invoke
from tests.helpers.simulation import simulate_tiny, spoil
from tests.helpers.toy import Toy


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["README.md"], "README.md is not a readable safetensors file"),
        (
            ["nowhere"],
            "there is no model file at nowhere: correct the path, or use a shipped model",
        ),
        ([""], "there is no model file at the empty path: correct the path"),
        (["--preset", "huge"], "no preset 'huge'"),
        (["--stall", "2"], "stall must be a probability"),
        (["--stall", "0.1", "--trace", "trace.json"], "--trace shows an accelerator that never"),
        (["--sequences", "1001"], "--sequences 1001: mnist1d has 1000 test sequences"),
    ],
)
def test_bad_arguments_get_one_sentence_and_a_status(arguments, sentence, tmp_path):
    result = invoke("sim", *arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert f"error: {sentence}" in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out" / "report.json").exists()


def report_of(simulation, monkeypatch, tmp_path, *words):
    """Run the command with ``simulation`` as what the simulator found."""
    monkeypatch.setattr(command, "run", lambda *args, **options: simulation)
    result = invoke("sim", *words, "--sequences", 3, "--out", tmp_path)
    return result, json.loads((tmp_path / "report.json").read_text())


def test_a_mismatch_is_named_and_fails_the_command(monkeypatch, tmp_path):
    result, report = report_of(spoil(simulate_tiny(), "event"), monkeypatch, tmp_path)
    assert result.exit_code == 1
    assert "mismatch: first event at sequence 2, step 3, layer 1, unit 1" in result.stderr
    assert report["mismatches"] == 1
    assert (tmp_path / "raster.png").stat().st_size > 10_000


def test_the_report_holds_what_the_table_on_standard_output_shows(monkeypatch, tmp_path):
    simulation = simulate_tiny()
    result, report = report_of(simulation, monkeypatch, tmp_path)
    assert result.exit_code == 0
    assert report["cycles_per_step"] == simulation.cycles / 18
    assert report["cycles_over_bound"] == simulation.cycles / simulation.bound
    assert report["dense_macs_per_step"] == 3 * 5 * (2 + 5) + 3 * 4 * (5 + 4)
    assert set(report["accuracy"]) == {"float (whole test set)", "integer", "RTL"}
    assert "mnist1d on ulx3s-85f" in result.stdout
    assert f"{report['cycles_per_step']:.1f}" in result.stdout
    assert "wrote" in result.stderr


def test_the_trace_is_that_of_the_first_sequence(monkeypatch, tmp_path):
    simulation = simulate_tiny()
    path = tmp_path / "trace.json"
    result, _ = report_of(simulation, monkeypatch, tmp_path, "--trace", path)
    assert result.exit_code == 0, result.output
    expected = timeline(simulation.model, simulation.golden, simulation.config)
    spans = [e["args"] for e in json.loads(path.read_text())["traceEvents"] if e["ph"] == "X"]
    assert [span["cycle"] for span in spans] == [span.begin for span in expected.spans]


def test_the_float_accuracy_is_the_recorded_one_with_and_without_torch(monkeypatch, tmp_path):
    for _ in range(2):
        _, report = report_of(simulate_tiny(), monkeypatch, tmp_path)
        recorded = report["accuracy"]["float (whole test set)"]
        assert recorded == load("mnist1d").config["results"]["accuracy"][0] > 0.9
        monkeypatch.setitem(sys.modules, "torch", None)


def test_a_model_without_recorded_results_has_no_float_accuracy(monkeypatch, tmp_path):
    file = load("mnist1d")
    del file.config["results"]
    monkeypatch.setattr(command, "load", lambda path: file)
    result, report = report_of(simulate_tiny(), monkeypatch, tmp_path)
    assert result.exit_code == 0, result.output
    assert set(report["accuracy"]) == {"integer", "RTL"}


@pytest.mark.parametrize("name", ["report.json", "raster.png", "egru.vcd"])
def test_a_file_that_cannot_be_written_is_refused_before_the_simulation(
    name, tmp_path, monkeypatch
):
    monkeypatch.setattr(command, "can_write_fst", lambda: False)
    (tmp_path / name).mkdir()
    result = invoke("sim", "--waves", "--out", tmp_path)
    assert result.exit_code == 2
    assert f"error: {tmp_path / name} is not a regular file: name another" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_without_a_number_a_hundred_sequences_are_chosen_or_all_that_there_are():
    task = Toy()  # 50 test sequences
    assert len(command.choose(task, None, 0).inputs) == 50
    assert len(command.choose(TASKS["mnist1d"], None, 0).inputs) == 100
    assert len(command.choose(task, 7, 0).inputs) == 7
    with pytest.raises(ValueError, match="--sequences 51: toy has 50 test sequences"):
        command.choose(task, 51, 0)
