"""``egru run``: a model on a device, compared with the integer model."""

import json

import numpy as np
import pytest

import egru_cli.run
from sim.virtual_board import VirtualBoard
from tests.helpers.command import invoke
from tests.helpers.device import CONFIG, save
from tests.helpers.streams import generator

TASK_STEPS = 38  # of delay-copy


@pytest.fixture
def model(tmp_path):
    """A model of delay-copy, whose read-out is read at every step."""
    return save(tmp_path / "m.safetensors", 3, 2, {"task": "delay-copy"}, readout="steps")


def run(tmp_path, *words, port="P"):
    out = tmp_path / "out"
    result = invoke("run", *words, "--port", port, "--out", out)
    report = out / "report.json"
    return result, json.loads(report.read_text()) if report.exists() else None


def test_every_event_state_and_output_is_compared(tmp_path, model, device):
    result, report = run(tmp_path, model, "--sequences", 7)
    assert result.exit_code == 0, result.stderr
    assert report["mismatches"] == 0
    assert report["compared"] == 7 * (TASK_STEPS * 6 + 6 + TASK_STEPS * 2)
    assert report["counters"]["steps"] == 7 * TASK_STEPS
    assert report["accuracy"]["device"] == report["accuracy"]["integer"]
    assert report["events_per_step"] > 0
    assert (tmp_path / "out" / "raster.png").exists()
    assert f"0 of {report['compared']}" in result.stdout


def test_a_run_on_a_line_with_faults_is_exact_and_tells_what_crossed_it(tmp_path, model):
    with VirtualBoard(CONFIG, faults={"flip": 3e-4, "drop": 3e-4}, seed=1) as board:
        result, report = run(tmp_path, model, "--sequences", 30, port=board.port)
    assert result.exit_code == 0, result.stderr
    assert (report["sequences"], report["mismatches"]) == (30, 0)
    link = report["link"]
    assert link["sent"] > 30 * TASK_STEPS
    assert link["mended"] > 0
    assert 0 < link["share"] <= 1
    assert f" {link['received']} │" in result.stdout


def test_batches_make_one_result(tmp_path, model, device, monkeypatch):
    _, whole = run(tmp_path, model, "--sequences", 7)
    monkeypatch.setattr(egru_cli.run, "BATCH", 2 * TASK_STEPS)
    _, report = run(tmp_path, model, "--sequences", 7)
    for timed in ("seconds", "sequences_per_second"):
        del whole[timed], report[timed]
    assert report == whole


def test_a_difference_ends_the_run(tmp_path, model, faulty_device, monkeypatch):
    monkeypatch.setattr(egru_cli.run, "BATCH", 2 * TASK_STEPS)
    result, report = run(tmp_path, model, "--sequences", 7)
    assert (result.exit_code, report["sequences"]) == (1, 2)


def test_without_events_the_rest_is_compared(tmp_path, model, device):
    result, report = run(tmp_path, model, "--sequences", 7, "--no-events")
    assert result.exit_code == 0, result.stderr
    assert (report["compared"], report["mismatches"]) == (7 * (6 + TASK_STEPS * 2), 0)
    assert not (tmp_path / "out" / "raster.png").exists()


def test_without_a_check_nothing_is_compared(tmp_path, model, device):
    result, report = run(tmp_path, model, "--sequences", 7, "--no-check")
    assert result.exit_code == 0, result.stderr
    assert "mismatches" not in report
    assert "mismatches" not in result.stdout
    assert list(report["accuracy"]) == ["device"]


def test_own_sequences_run(tmp_path, model, device):
    np.save(tmp_path / "x.npy", generator(5).normal(size=(4, 9, 3)))
    result, report = run(tmp_path, model, "--input", tmp_path / "x.npy")
    assert result.exit_code == 0, result.stderr
    assert (report["sequences"], report["steps_per_sequence"]) == (4, 9)
    assert report["mismatches"] == 0
    assert "accuracy" not in report


def test_own_sequences_end_where_they_say(tmp_path, model, device, monkeypatch):
    x = generator(5).normal(size=(4, 9, 3))
    x[1, 2:] = np.nan
    np.savez(tmp_path / "x.npz", inputs=x, lengths=[9, 2, 4, 1])
    monkeypatch.setattr(egru_cli.run, "BATCH", 18)
    result, report = run(tmp_path, model, "--input", tmp_path / "x.npz")
    assert result.exit_code == 0, result.stderr
    assert (report["sequences"], report["steps_per_sequence"]) == (4, 4)
    assert report["counters"]["steps"] == 16
    assert (report["compared"], report["mismatches"]) == (16 * (6 + 2) + 4 * 6, 0)


def test_a_difference_is_named_and_fails(tmp_path, model, faulty_device):
    result, report = run(tmp_path, model, "--sequences", 2)
    assert result.exit_code == 1
    assert report["mismatches"] > 0
    assert f"mismatch: first {report['first_difference']}" in result.stderr
    assert report["first_difference"].startswith("event at sequence ")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 9, 2)), "has the shape (4, 9, 2): the model expects (N, T, 3)"),
        (np.full((4, 9, 3), np.nan), "has nan at sequence 0, step 0, feature 0"),
    ],
)
def test_sequences_that_do_not_fit_the_model_rejected(tmp_path, model, array, words):
    np.save(tmp_path / "x.npy", array)
    result, report = run(tmp_path, model, "--input", tmp_path / "x.npy")
    assert (result.exit_code, result.stdout, report) == (2, "", None)
    assert words in result.stderr


def test_options_of_test_sequences_beside_a_file_rejected(tmp_path, model):
    for option in ("--sequences", "--seed", "--data"):
        result, _ = run(tmp_path, model, "--input", tmp_path / "x.npy", option, 1)
        assert result.exit_code == 2
        assert f"{option} has no effect with --input" in result.stderr


def test_a_model_that_is_too_large_rejected_with_presets_that_would_do(tmp_path, device):
    result, report = run(tmp_path, "mnist1d")
    assert (result.exit_code, result.stdout, report) == (2, "", None)
    assert "the model does not fit this accelerator: it needs 128 units" in result.stderr
    assert "presets that it fits: ulx3s-12f, ulx3s-45f, ulx3s-85f" in result.stderr
