"""A device, over Amaranth's simulator as its transport."""

from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from egru_hw.contract.config import preset
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import VERSION, Command, Counter, Reply, unpack
from egru_hw.host import device as device_module
from egru_hw.host.device import Device
from egru_hw.host.transport import NoAnswer, TransportError
from golden.encoding import KINDS as ENCODERS
from golden.integer import IntegerEGRU
from golden.model_file import ModelFile
from golden.readouts import READOUTS
from sim.backends.amaranth_simulator import AmaranthTransport
from sim.comparison import compare
from sim.random_models import random_inputs, random_model
from sim.stimulus import Stimulus
from tests.helpers.streams import generator

TINY = preset("tiny")


class Watched(AmaranthTransport):
    """Counts the packets sent and the resets, and fails when told to."""

    sent = resets = 0
    writes = events = 0
    fails = False

    def send(self, packets):
        self.sent += len(packets)
        self.writes += int(np.count_nonzero(unpack(packets)[0] == Command.WRITE))
        super().send(packets)

    def receive(self, count):
        if self.fails:
            self.fails = False
            raise NoAnswer("no answer")
        replies = super().receive(count)
        self.events += int(np.count_nonzero(unpack(replies)[0] == Reply.EVENT))
        return replies

    def reset(self):
        self.resets += 1
        super().reset()


@pytest.fixture
def transport():
    with closing(Watched(TINY, Stimulus())) as transport:
        yield transport


def session(seed: int = 1, kind: str = "mean"):
    """A model, and inputs (4, 6, 3)."""
    rng = generator(seed)
    model = random_model(rng, 3, (5, 4), 2, threshold=2000, readout=kind)
    return model, random_inputs(rng, 4, 6, 3)


def check(model: IntegerEGRU, inputs: np.ndarray, result) -> None:
    comparison = compare(model.run(inputs), result)
    assert comparison.mismatches == 0, str(comparison.first)
    assert any(events.any() for events in result.events)


def test_a_device_runs_what_the_integer_model_runs(transport):
    model, inputs = session()
    with Device(transport) as device:
        assert device.config == TINY
        device.load(model)
        check(model, inputs, device.run(inputs))
        check(model, inputs[:1], device.run(inputs[:1]))


def test_results_of_small_batches_are_those_of_one(transport, monkeypatch):
    model, inputs = session()
    device = Device(transport, TINY)
    device.load(model)
    whole = device.run(inputs)
    monkeypatch.setattr(device_module, "BATCH", 1)
    monkeypatch.setattr(device_module, "AHEAD", 60)
    shares = []
    parts = device.run(inputs, progress=shares.append)
    check(model, inputs, parts)
    assert shares == [0.25, 0.5, 0.75, 1.0]
    for counter in (Counter.STEPS, Counter.MACS, Counter.ROWS):
        assert parts.counters[counter] == whole.counters[counter] > 0


def test_batches_may_differ_in_size(transport):
    model, inputs = session()
    device = Device(transport, TINY)
    device.load(model)
    batches = [inputs[:1, :2], inputs[1:], inputs[:0], inputs[:2, :5]]
    for batch, result in zip(batches, device.batches(batches), strict=True):
        comparison = compare(model.run(batch), result)
        assert comparison.mismatches == 0, str(comparison.first)
        assert result.counters[Counter.STEPS] == batch.shape[0] * batch.shape[1]


def test_commands_are_sent_while_replies_are_awaited(transport, monkeypatch):
    monkeypatch.setattr(device_module, "AHEAD", 1)
    model, inputs = session()
    device = Device(transport, TINY)
    device.load(model)
    taken = []
    batches = device.batches(taken.append(n) or inputs[n : n + 1] for n in range(4))
    next(batches)
    assert taken == [0]
    monkeypatch.setattr(device_module, "AHEAD", 10**6)
    next(batches)
    assert taken == [0, 1, 2, 3]


def test_without_events_everything_else_is_the_same(transport):
    model, inputs = session()
    device = Device(transport, TINY)
    device.load(model)
    expected = model.run(inputs)
    for events in (False, True, False):
        result = device.run(inputs, events=events)
        assert bool(result.events) == bool(transport.events) == events
        transport.events = 0
        assert (result.outputs == expected.outputs).all()
        for found, (_, state) in zip(result.states, expected.state, strict=True):
            assert (found == state).all()


def test_real_inputs_are_quantised(transport):
    model, inputs = session()
    device = Device(transport, TINY)
    device.load(model)
    check(model, inputs, device.run(model.input_format.real(inputs)))


def test_a_model_is_loaded_once(transport):
    model, inputs = session()
    device = Device(transport, TINY)
    device.load(model)
    assert transport.writes > 0
    before = transport.writes
    device.load(model)
    assert transport.writes == before
    other, _ = session(2)
    device.load(other)
    assert transport.writes > before
    check(other, inputs, device.run(inputs))
    device.load(model)
    check(model, inputs, device.run(inputs))


def test_a_model_in_the_bitstream_is_not_loaded():
    model, inputs = session()
    with closing(Watched(TINY, Stimulus(), build_image(model, TINY))) as transport:
        device = Device(transport, TINY)
        assert device.info().model == build_image(model, TINY).digest
        device.load(model)
        check(model, inputs, device.run(inputs))
        assert transport.writes == 0
        device.load(session(2)[0])
        assert device.info().model == 0
        device.load(model)
        check(model, inputs, device.run(inputs))


def test_info_tells_what_the_device_is(transport):
    model, inputs = session()
    device = Device(transport)
    device.load(model)
    device.run(inputs)
    info = device.info()
    assert (info.identity, info.version) == (TINY.fingerprint, VERSION)
    assert (info.config, info.presets, info.model) == (TINY, ["tiny"], 0)
    assert info.counters[Counter.STEPS] == 4 * 6


def test_after_an_error_the_next_call_loads_the_model_again(transport):
    model, inputs = session()
    device = Device(transport)
    device.load(model)
    transport.fails = True
    with pytest.raises(NoAnswer):
        device.run(inputs)
    before = transport.writes, transport.resets
    check(model, inputs, device.run(inputs))
    assert transport.writes > before[0]
    assert transport.resets == before[1] + 1


def test_what_was_not_taken_of_a_run_does_not_reach_the_next(transport):
    model, inputs = session()
    device = Device(transport)
    device.load(model)
    for batches in (iter([inputs[:1], inputs[1:2]]), iter([inputs[:2], np.zeros((2, 2))])):
        results = device.batches(batches)
        with suppress(ValueError):
            next(results)
        results.close()
        check(model, inputs, device.run(inputs))


def test_a_run_ends_when_the_device_does_something_else(transport):
    model, inputs = session()
    device = Device(transport)
    device.load(model)
    results = device.batches([inputs[:1], inputs[1:2]])
    next(results)
    check(model, inputs, device.run(inputs))
    with pytest.raises(RuntimeError, match="has begun something else"):
        next(results)
    check(model, inputs, device.run(inputs))


class Silent:
    """Fails if anything is sent."""

    def __init__(self, transport):
        self.reset, self.receive, self.close = transport.reset, transport.receive, transport.close

    def send(self, packets):
        raise AssertionError("something was sent")


@pytest.mark.parametrize(
    ("raw_inputs", "words"),
    [
        (np.full((1, 2, 3), 300), r"raw_inputs must lie in -256 \.\.\. 255, not 300"),
        (np.zeros((1, 2, 4), int), r"raw_inputs must have the shape \(1, 2, 3\)"),
        (np.zeros((2, 3), int), "raw_inputs must be a NxTxC array"),
        (np.zeros((1, 0, 3), int), "at least one step"),
        (np.full((1, 2, 3), 2**64 - 1, np.uint64), "signed 64-bit integers"),
        (np.full((1, 2, 3), np.nan), "must be finite"),
        (np.zeros((2, 3)), r"must have the shape \(N, T, 3\)"),
    ],
)
def test_inputs_that_the_integer_model_refuses_are_refused(transport, raw_inputs, words):
    model, _ = session()
    device = Device(transport, TINY)
    device.load(model)
    sent = transport.sent
    with pytest.raises(ValueError, match=words):
        device.run(raw_inputs)
    assert transport.sent == sent


def test_a_device_without_a_model_runs_nothing(transport):
    device = Device(transport)
    for use in (lambda: device.run(np.zeros((1, 1, 3))), device.stream, lambda: device.model):
        with pytest.raises(RuntimeError, match="no model"):
            use()


def test_what_is_no_model_is_refused(transport):
    with pytest.raises(TypeError, match="model must be an IntegerEGRU"):
        Device(transport).load("mnist1d")


def test_impossible_replies_are_an_error(transport, monkeypatch):
    model, inputs = session()
    device = Device(transport)
    device.load(model)
    receive = transport.receive

    def doubled(count):
        replies = receive(count)
        where = np.flatnonzero(unpack(replies)[0] == 1)
        return np.insert(replies, where[0], replies[where[0]]) if len(where) else replies

    monkeypatch.setattr(transport, "receive", doubled)
    with pytest.raises(TransportError, match="one event twice"):
        device.run(inputs)


def test_real_inputs_are_scaled_as_the_model_file_says(transport):
    model, _ = session()
    scaling = {"mean": [1.0, -2.0, 0.0], "deviation": [0.5, 2.0, 1.0]}
    file = ModelFile(Path("a.safetensors"), model, {"scaling": scaling}, {}, {})
    inputs = generator(2).normal(size=(2, 4, 3))
    scaled = (inputs - scaling["mean"]) / scaling["deviation"]
    expected = model.run(model.quantize_inputs(scaled.astype(np.float32)))
    assert (model.run(model.quantize_inputs(inputs)).outputs != expected.outputs).any()
    device = Device(transport)
    device.load(file)
    assert compare(expected, device.run(inputs)).mismatches == 0


@pytest.mark.parametrize("kind", ENCODERS)
def test_real_inputs_are_encoded_in_runs_and_in_streams(transport, kind):
    model, _ = session()
    config = {"encoder": {"kind": kind, "threshold": 0.6}}
    file = ModelFile(Path("a.safetensors"), model, config, {}, {})
    inputs = generator(3).normal(size=(1, 6, 3))
    prepared = file.preparation(inputs)
    assert 0 < np.count_nonzero(prepared) < prepared.size
    expected = model.run(model.quantize_inputs(prepared))
    device = Device(transport)
    device.load(file)
    assert compare(expected, device.run(inputs)).mismatches == 0
    stream = device.stream()
    for _ in range(2):  # again from rest, with an encoder that has sent nothing
        for t in range(6):
            if t == 3:
                with pytest.raises(ValueError, match="finite"):  # leaves the encoder as it is
                    stream.step(np.array([np.nan, 0.0, 0.0]))
            found = stream.step(inputs[0, t])
            for layer, events in zip(expected.events, found.events, strict=True):
                assert np.array_equal(events, layer[0, t])
        stream.reset()


@pytest.mark.parametrize("kind", READOUTS)
def test_nothing_is_sent_after_the_end_of_a_sequence(transport, kind, monkeypatch):
    model, inputs = session(kind=kind)
    lengths = np.array([6, 1, 4, 2])
    inputs[:, -1] = 1  # so that every sequence has padding that would be sent
    device = Device(transport)
    device.load(model)
    device.run(inputs[:1])
    alone, before = [], transport.sent
    for n, length in enumerate(lengths):
        alone.append(device.run(inputs[n : n + 1, :length]))
    sent, before = transport.sent - before, transport.sent
    monkeypatch.setattr(device_module, "BATCH", 1)  # a batch for each, as above
    padded = device.run(inputs, lengths=lengths)
    counters = 2 * (len(lengths) - 1)  # which each run() reads once at its start
    assert transport.sent - before == sent - counters
    for n, length in enumerate(lengths):
        assert np.array_equal(padded.events[0][n, :length], alone[n].events[0][0])
        assert not padded.events[0][n, length:].any()
        output = padded.outputs[n]
        assert np.array_equal(output[:length] if output.ndim == 2 else output, alone[n].outputs[0])
    for counter in (Counter.STEPS, Counter.MACS, Counter.INPUT_EVENTS):
        assert padded.counters[counter] == sum(part.counters[counter] for part in alone)


def test_batches_may_have_lengths(transport):
    model, inputs = session()
    device = Device(transport, TINY)
    device.load(model)
    batches = [(inputs[:2], np.array([6, 2])), inputs[2:, :3], (inputs[:0], np.zeros(0, int))]
    found = list(device.batches(batches))
    for batch, result in zip(batches, found, strict=True):
        raw, lengths = batch if isinstance(batch, tuple) else (batch, None)
        comparison = compare(model.run(raw, lengths=lengths), result)
        assert comparison.mismatches == 0, str(comparison.first)
    assert found[0].counters[Counter.STEPS] == 8
