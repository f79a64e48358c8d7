"""Traces are in the format that viewers expect, and in the cycles of the timeline."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from egru_hw.cost.timeline import Track, timeline
from egru_hw.cost.trace import trace
from sim.random_models import random_inputs, random_model
from tests.egru_hw.gateware.test_accelerator import TINY


@pytest.fixture(scope="module")
def line():
    rng = np.random.default_rng(4)
    model = random_model(rng, 3, (5, 4), outputs=3, threshold=2000)
    return timeline(model, model.run(random_inputs(rng, 1, 30, 3)), TINY)


def complete(found):
    return [event for event in json.loads(json.dumps(found))["traceEvents"] if event["ph"] == "X"]


@pytest.mark.parametrize("mhz", [80, 70, 12.5])
def test_each_span_becomes_an_event_at_the_given_clock(line, mhz):
    events = complete(trace(line, mhz, "title"))
    assert len(events) == len(line.spans)
    for event, span in zip(events, line.spans, strict=True):
        assert (event["name"], event["args"]["cycle"]) == (span.what, span.begin)
        assert abs(event["ts"] - span.begin / mhz) < 1e-3
        assert abs(event["ts"] + event["dur"] - span.end / mhz) < 1e-3
        assert event["cat"] == ("wait" if span.waits else "work")


@pytest.mark.parametrize("mhz", [80, 70, 12.5])
def test_events_do_not_overlap_in_whole_nanoseconds(line, mhz):
    numbers = {track: number for number, track in enumerate(Track, 1)}
    events = complete(trace(line, mhz, "title"))
    for track in set(Track) - {Track.UPDATE}:  # whose spans nest
        own = [event for event in events if event["tid"] == numbers[track]]
        for before, after in pairwise(own):
            begin, length = (math.floor(1000 * before[name]) for name in ("ts", "dur"))
            assert begin + length <= math.floor(1000 * after["ts"])


def test_processes_and_units_have_names_in_order(line):
    events = trace(line, 80, "a title")["traceEvents"]
    named = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    order = {e["tid"]: e["args"]["sort_index"] for e in events if e["name"] == "thread_sort_index"}
    assert [named[thread] for thread in sorted(order, key=order.__getitem__)] == list(Track)
    assert [e["args"]["name"] for e in events if e["name"] == "process_name"] == ["a title"]
