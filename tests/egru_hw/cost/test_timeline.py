"""The timeline agrees with the counters, and with every cycle of the simulated hardware."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from egru_hw.contract.config import preset
from egru_hw.contract.protocol import Command, Counter
from egru_hw.cost.cycles import cost
from egru_hw.cost.timeline import Track, timeline
from egru_hw.gateware import accelerator, readout
from egru_hw.host.device import Device
from sim.backends.amaranth_simulator import AmaranthTransport
from sim.random_models import random_case, random_inputs, random_model
from sim.stimulus import Stimulus
from tests.egru_hw.gateware.test_accelerator import CORNERS, TINY


def cycles(spans, *tracks, waits=False):
    """The cycles of all spans of ``tracks``, in order."""
    return sorted(
        cycle
        for span in spans
        if span.track in tracks and span.waits == waits
        for cycle in range(span.begin, span.end)
    )


def check(model, inputs, config):
    """The timeline of each sequence adds up to its counters."""
    result = model.run(inputs)
    found = cost(model, result, config)
    rows = 0
    for sequence, expected in enumerate(found.cycles):
        line = timeline(model, result, config, sequence)
        rows += len(cycles(line.spans, Track.LANES))
        assert line.cycles == expected == max(span.end for span in line.spans) - 1
        assert min(span.begin for span in line.spans) == 0
        for step, latency in enumerate(found.latency[sequence]):
            own = line.during(step)
            replies = [s for s in own if s.what == "reply STEP" and s.step == step]
            commands = [s for s in own if s.track is Track.COMMANDS and s.step == step]
            assert replies[0].begin - commands[0].begin == latency
    assert rows == found.counters[Counter.ROWS]


@pytest.mark.parametrize("name", CORNERS)
def test_the_spans_of_corners_add_up_to_the_counters(name):
    rng = np.random.default_rng(1)
    model = random_model(rng, **CORNERS[name])
    check(model, random_inputs(rng, 2, 6, model.input_size), TINY)


@pytest.mark.parametrize("config", [TINY, preset("ulx3s-85f")])
def test_the_spans_of_random_models_add_up_to_the_counters(config):
    seed = int(np.random.default_rng().integers(1 << 32))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        check(*random_case(rng, config, 2), config)


def test_events_are_named_after_the_units_that_emit_them():
    rng = np.random.default_rng(3)
    model = random_model(rng, 3, (5, 4), outputs=2, threshold=2000)
    result = model.run(random_inputs(rng, 1, 4, 3))
    spans = timeline(model, result, TINY).spans
    below, own = ([np.flatnonzero(y).tolist() for y in layer[0]] for layer in result.events)
    assert sum(map(len, below))
    assert sum(map(len, own))

    def names(track, step):
        found = [span for span in spans if span.track is track and not span.waits]
        return [span.what for span in found if (span.step, span.layer) == (step, 1)]

    for step in range(1, 4):
        assert names(Track.LANES, step) == [
            *(f"recurrent event of unit {unit}" for unit in own[step - 1]),
            *(f"event of unit {unit}" for unit in below[step]),
        ]
        events = [f"event of unit {unit}" for unit in own[step]]
        assert names(Track.EVENTS, step) == [*events, "update of layer 1"]


def test_the_spans_of_a_unit_never_overlap_unless_they_nest():
    rng = np.random.default_rng(3)
    model = random_model(rng, 3, (5, 4, 2), outputs=5, threshold=2000, readout="steps")
    spans = timeline(model, model.run(random_inputs(rng, 1, 8, 3)), TINY).spans
    assert {span.track for span in spans} == set(Track)
    for track in Track:
        ends = [float("inf")]
        for span in (span for span in spans if span.track is track):
            while ends[-1] <= span.begin:
                ends.pop()
            assert span.end <= ends[-1], span
            ends.append(span.end)


@pytest.fixture
def parts(monkeypatch):
    """The parts of every accelerator that is built, by name; the latest of each."""
    built = {}

    def capture(module, name, key):
        make = getattr(module, name)

        def made(*args, **options):
            built[key] = make(*args, **options)
            return built[key]

        monkeypatch.setattr(module, name, made)

    for name in ("Sequencer", "WeightFetch", "MacLanes", "UnitUpdate", "Readout", "Merge"):
        capture(accelerator, name, name)
    capture(readout, "WeightFetch", "readout.WeightFetch")
    return built


def observe(parts, model, inputs, config):
    """Names of what happens in each cycle of a simulation, counted from the last RESET."""
    transport = AmaranthTransport(config, Stimulus())
    sequencer, fetch, lanes, update = (
        parts[name] for name in ("Sequencer", "WeightFetch", "MacLanes", "UnitUpdate")
    )
    products, merge = parts["readout.WeightFetch"].o, parts["Merge"].o
    signals = {
        "reset": sequencer.i.valid & (sequencer.i.payload.code == Command.RESET),
        "command": sequencer.i.valid & sequencer.i.ready,
        "sent": sequencer.o.valid & sequencer.o.ready,
        "sequencer waits": sequencer.o.valid & ~sequencer.o.ready,
        "marked": sequencer.waits_for_update,
        "requested": fetch.request.valid & fetch.request.ready,
        "multiplied": lanes.busy,
        "issued": update.issue.start,
        "updating": ~update.i.ready,
        "spike": update.o.valid & update.o.ready,
        "spike waits": update.o.valid & ~update.o.ready,
        "read-out row": products.valid & products.ready & products.payload.fetch,
        "retired": parts["Readout"].retired,
        "reply": merge.valid & merge.ready,
    }
    seen = []

    async def sample(ctx):
        async for _, _, *values in ctx.tick(transport._domain).sample(*signals.values()):
            seen.append(values)

    transport._simulator.add_testbench(sample, background=True)
    with closing(transport):
        device = Device(transport, config)
        device.load(model)
        device.run(inputs)
    table = dict(zip(signals, np.array(seen, bool).T, strict=True))
    start = np.flatnonzero(table["reset"] & table["command"])[-1]
    return {name: np.flatnonzero(column[start:]).tolist() for name, column in table.items()}


def test_every_span_is_in_the_cycles_of_the_simulated_hardware(parts):
    seed = int(np.random.default_rng().integers(1 << 32))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    config = replace(preset("tiny"), max_outputs=32, readout_lanes=1)  # slow, so that spikes wait
    full = random_model(rng, 2, (16,), outputs=32, drive="firing", readout="steps")
    cases = [random_case(rng, config, 1) for _ in range(3)]
    for model, inputs in [*cases, (full, random_inputs(rng, 1, 4, 2))]:
        inputs = inputs[:, :8]
        seen = observe(parts, model, inputs, config)
        line = timeline(model, model.run(inputs), config)

        def of(*tracks, only=lambda span: True, waits=False, line=line):
            return cycles(filter(only, line.spans), *tracks, waits=waits)

        last = line.cycles
        assert of(Track.COMMANDS) == [c for c in seen["command"] if c <= last]
        assert seen["sent"] == of(Track.SEQUENCER, only=lambda s: s.what not in UNSENT)
        assert seen["sequencer waits"] == of(
            Track.SEQUENCER, only=lambda s: s.what == "waits for the weight fetch", waits=True
        )
        marked = of(Track.SEQUENCER, only=lambda s: "unit update" in s.what, waits=True)
        assert {c - 1 for c in marked} <= set(seen["marked"])
        empty = of(Track.SEQUENCER, only=lambda s: s.what == "waits for events", waits=True)
        assert not {c - 1 for c in empty} & {*seen["marked"], *seen["sequencer waits"]}
        assert seen["requested"] == of(Track.FETCH, only=lambda s: "event" in s.what)
        assert seen["multiplied"] == of(Track.LANES)
        assert seen["issued"] == of(Track.UPDATE, only=lambda s: "groups" in s.what)
        assert [c for c in seen["updating"] if 0 < c <= last] == of(
            Track.UPDATE, only=lambda s: "groups" not in s.what
        )
        assert seen["spike"] == of(Track.EVENTS)
        assert seen["spike waits"] == of(Track.EVENTS, waits=True)
        assert seen["read-out row"] == of(Track.READOUT, only=fetches(model))
        assert seen["retired"][-1] == last
        assert seen["spike waits"] or model is not full
        assert of(Track.REPLIES) == [c for c in seen["reply"] if c <= last]


UNSENT = ("STEP", "end of the list")


def fetches(model):
    return lambda span: (
        "event" in span.what or span.what == f"update of layer {model.num_layers - 1}"
    )
