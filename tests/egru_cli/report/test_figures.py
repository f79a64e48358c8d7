"""The figures show what was computed."""

from collections import Counter

import numpy as np
import pytest

from egru_cli.report import curves, events, predictions, timing
from egru_hw.contract.config import preset
from egru_hw.cost.timeline import Track, timeline
from sim.random_models import random_inputs, random_model
from tests.helpers.simulation import simulate_tiny, spoil
from tests.helpers.streams import generator


def series(figure):
    """The data of each series of a figure by its label in the legend."""
    return {
        item.label.value: {key: list(values) for key, values in renderer.data_source.data.items()}
        for item in figure.legend[0].items
        for renderer in item.renderers
    }


def points(data):
    return set(zip(data["x"], data["y"], strict=True))


def test_rasters_show_every_event_of_a_sequence_and_mark_mismatches():
    simulation = spoil(simulate_tiny(), "event")
    made = events.rasters(simulation.golden.events, simulation.hardware.events, 2)
    for layer, figure in enumerate(made):
        found = [set(zip(*np.nonzero(result.events[layer][2]), strict=True))
                 for result in (simulation.golden, simulation.hardware)]  # fmt: skip
        shown = [points(data) for data in series(figure).values()]
        assert shown[:2] == found
        assert shown[2:] == [{(3, 1)}][: layer == 1]
    assert made[0].x_range is made[1].x_range


def test_activity_is_the_share_of_units_that_fire():
    rng = generator(8)
    model = random_model(rng, 3, (5, 4), outputs=3, drive="firing")
    inputs, lengths = random_inputs(rng, 4, 9, 3), np.array([2, 7, 1, 7])
    result = model.run(inputs, lengths=lengths)
    shown = series(events.activity(result.events, lengths)).values()
    for layer, data in zip(result.events, shown, strict=True):
        expected = [np.mean(layer[lengths > t, t] > 0) for t in range(7)]
        assert data["y"] == pytest.approx(expected)


def test_the_timeline_of_a_step_has_every_span():
    rng = generator(5)
    model = random_model(rng, 3, (5, 4), outputs=3, threshold=2000)
    line = timeline(model, model.run(random_inputs(rng, 1, 6, 3)), preset("tiny"))
    shown = Counter()
    for label, data in series(timing.units(line, 3)).items():
        for at, track in enumerate(data["track"]):
            key = (track, data["what"][at], data["begin"][at], data["end"][at], label == "waits")
            shown[key] += 1
    spans = line.during(3)
    expected = Counter((s.track.value, s.what, s.begin, s.end, s.waits) for s in spans)
    assert shown == expected
    assert {span.track for span in spans} == set(Track)


def test_the_bound_is_that_of_busy_lanes():
    simulation = simulate_tiny()
    latency = [[100] * 6] * 3
    data = series(timing.against_bound(latency, [300] * 3, simulation.golden, preset("tiny")))
    macs = sum(simulation.golden.operations)
    assert data["latency of a step"]["x"] == list((macs / preset("tiny").lanes).ravel())
    assert data["mean of a sequence"]["y"] == [50, 50, 50]
    assert points(data["bound"]) == {(0, 0), (top := data["bound"]["x"][1], top)}


def test_steps_after_the_end_of_a_sequence_have_no_cycles():
    rng = generator(9)
    model = random_model(rng, 3, (5,), outputs=2)
    result = model.run(random_inputs(rng, 3, 6, 3), lengths=[6, 1, 3])
    latency = [[10 * n + t for t in range(steps)] for n, steps in enumerate([6, 1, 3])]
    data = series(timing.against_bound(latency, [60, 20, 90], result, preset("tiny")))
    steps = data["latency of a step"]
    assert steps["y"] == [0, 1, 2, 3, 4, 5, 10, 20, 21, 22]
    assert steps["step"] == [0, 1, 2, 3, 4, 5, 0, 0, 1, 2]
    assert steps["x"] == [result.operations[0][n, t] / 6 for n in range(3)
                          for t in range([6, 1, 3][n])]  # fmt: skip
    assert data["mean of a sequence"]["y"] == [10, 20, 30]


def test_the_confusion_matrix_counts_what_is_scored():
    rng = generator(6)
    logits, targets = rng.normal(size=(9, 8, 4)), rng.integers(-1, 4, (9, 8))
    (renderer, _) = predictions.confusion(logits, targets).renderers
    data = renderer.data_source.data
    cells = zip(data["target"], data["predicted"], data["count"], strict=True)
    found = {(target, predicted): count for target, predicted, count in cells if count}
    pairs = zip(targets.ravel(), logits.reshape(-1, 4).argmax(1), strict=True)
    assert found == Counter((str(t), str(p)) for t, p in pairs if t >= 0)


def test_a_forecast_shows_outputs_and_targets_of_sequences_or_of_steps():
    rng = generator(7)
    outputs, targets = rng.normal(size=(2, 5, 6, 2))
    data = series(predictions.forecast(outputs, targets))
    assert data["target 1"]["y"] == list(targets[0, :, 1])
    assert data["output 1"]["y"] == list(outputs[0, :, 1])
    data = series(predictions.forecast(outputs[:, 0], targets[:, 0]))
    assert points(data["output 1"]) == set(zip(targets[:, 0, 1], outputs[:, 0, 1], strict=True))


def test_curves_show_the_epochs_that_have_a_value():
    history = [
        {"epoch": 1.0, "loss": 3.0, "activity": 0.5, "validation_loss": None},
        {"epoch": 2.0, "loss": 2.0, "activity": 0.25, "validation_loss": 4.0},
    ]
    data = series(curves.course(history, "loss", "loss", "0.0"))
    assert data["training"] == {"x": [1, 2], "y": [3, 2]}
    assert data["validation"] == {"x": [2], "y": [4]}
    data = series(curves.against_operations(history, "loss", "loss", "0.0", 100, (0.2, 1.0)))
    assert points(data["epochs, training"]) == {(50, 3), (25, 2)}
    assert points(data["test set"]) == {(20, 1)}
