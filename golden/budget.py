"""The error budget of a quantisation: what each stage from the float network on costs."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from golden.evaluation import first, real_inputs, score_integer, score_network
from golden.integer import SUMS, IntegerEGRU, IntegerLayer, IntegerResult
from golden.integer.arithmetic import accumulator, run_layer
from golden.integer.numerics import (
    ACCUMULATOR,
    BIAS,
    BIAS_SHIFT,
    EVENT,
    READOUT_ACCUMULATOR,
    THRESHOLD,
)
from golden.lengths import by_length
from golden.network.network import Network
from golden.quantization.quantized_network import QuantizedNetwork
from golden.quantization.scales import Scales, layer_events
from golden.tasks import Task

SEQUENCES, STEPS = 500, 10_000
"""Of the test set, what layers and accumulators are measured on; steps of a stream."""


def error_budget(
    task: Task,
    network: Network,
    integer: IntegerEGRU,
    show: Callable[[str, float | None], None] = lambda phase, share: None,
) -> dict[str, Any]:
    """The budget of ``integer``, made from ``network``, on the test set of ``task``; for JSON.

    * The task's metric of each stage: the float network; the same with weights, biases and
      thresholds rounded; inputs, states and activations quantised as well, in PyTorch; the
      integer model. The last two are equal.
    * ``layers``: ``events_differ``, the share of events that either the float network or the
      integer model has, but not both; ``events_differ_alone``, the same if only that layer is
      quantised; ``headroom_bits`` and ``guaranteed_bits`` of each accumulator.
    * ``readout``: the same bits of its accumulators.

    Headroom is how many times the largest magnitude of a sum, biases included, could be doubled;
    None if all sums are 0. What is guaranteed holds for all inputs, and for sums on their way.

    Args:
        show: is told the phase and, if known, the share of it that is done.
    """
    test, stages = task.test(), {}
    for name, network_of in (
        ("float", lambda: network),
        ("weights", lambda: rounded(network, integer)),
        ("weights and activations", lambda: QuantizedNetwork.of(network, integer)),
    ):
        show(f"evaluating {name}", None)
        score = score_network(network_of(), test, task.stream, task.objective)
        stages[name] = score.metric
    show("evaluating the integer model", None)
    stages["integer"] = score_integer(integer, task, test).metric

    show("comparing layers", None)
    part = first(test, STEPS) if task.stream else test.take(slice(SEQUENCES))
    x = real_inputs(task, part)
    raw = integer.quantize_inputs(x)
    result = integer.run(raw, lengths=part.lengths)
    lengths = result.lengths
    expected = layer_events(network.egru, x.astype(np.float64), lengths)
    alone = [raw, *(EVENT.quantize(y) for y in expected)]
    met = [raw, *result.events]
    guaranteed = _guaranteed(integer)
    layers = []
    for index, layer in enumerate(integer.layers):
        start = np.zeros((len(raw), layer.hidden_size), np.int64)
        by_itself = run_layer(layer, alone[index], start, start, lengths)[0]
        used = largest_sums(layer, met[index], result.events[index], lengths)
        layers.append(
            {
                "events_differ": differing(expected[index], result.events[index]),
                "events_differ_alone": differing(expected[index], by_itself),
                "headroom_bits": dict(zip(SUMS, map(_accumulator_bits, used), strict=True)),
                "guaranteed_bits": dict(
                    zip(SUMS, map(_accumulator_bits, guaranteed[index]), strict=True)
                ),
            }
        )
    return {
        task.objective.metric: stages,
        "measured_on": {"sequences": len(raw), "steps": int(lengths.max())},
        "layers": layers,
        "readout": _readout(integer, result),
    }


def rounded(network: Network, integer: IntegerEGRU) -> Network:
    """``network`` with the weights, biases and thresholds of ``integer``, as real numbers."""
    scales, made = Scales.of(integer), copy.deepcopy(network)
    with torch.no_grad():
        for index, (layer, formats) in enumerate(zip(integer.layers, scales.layers, strict=True)):
            parameters = made.egru.layer_parameters(index)
            r, z, p, q = BIAS.real(layer.bias)
            values = (
                formats[0].real(layer.weight_input),
                formats[1].real(layer.weight_recurrent),
                np.concatenate([r, z, p]),
                np.concatenate([0 * r, 0 * z, q]),
                THRESHOLD.real(layer.threshold),
            )
            for parameter, value in zip(parameters, values, strict=True):
                parameter.copy_(torch.from_numpy(value))
        if integer.readout is not None and scales.readout is not None:
            weight, bias = scales.readout
            made.readout.weight.copy_(torch.from_numpy(weight.real(integer.readout.weight)))
            made.readout.bias.copy_(torch.from_numpy(bias.real(integer.readout.bias)))
    return made


def differing(expected: np.ndarray, found: np.ndarray) -> float:
    """The share of the events in one or both of two trains that are in one only."""
    before, after = expected != 0, found != 0
    return float((before != after).sum() / max((before | after).sum(), 1))


def largest_sums(
    layer: IntegerLayer, values: np.ndarray, events: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """[4]: the largest magnitudes of the accumulators (r, z, p, q), biases included.

    Args:
        values: (N, T, C), what the layer reads.
        events: (N, T, H), what it emits from rest.
        lengths: (N,), the steps of each sequence.
    """
    accumulate, bias = accumulator(layer), layer.bias << BIAS_SHIFT
    y, largest = np.zeros_like(events[:, 0]), np.zeros(len(SUMS), np.int64)
    for t in range(lengths.max()):
        sums = np.abs(accumulate(values[:, t], y) + bias)[t < lengths]
        largest = np.maximum(largest, sums.max((0, 2)))
        y = events[:, t]
    return largest


def _guaranteed(integer: IntegerEGRU) -> list[np.ndarray]:
    """Per layer [4]: what no accumulator can exceed."""
    bounds, largest = [], -integer.input_format.min
    for index, layer in enumerate(integer.layers):
        bounds.append(layer.largest_sums(largest, integer.one_hot and index == 0).max(1))
        largest = EVENT.max
    return bounds


def _readout(integer: IntegerEGRU, result: IntegerResult) -> dict[str, float | None]:
    readout = integer.readout
    if readout is None:
        return {}
    events, used = result.events[-1], 0
    for steps, chosen in by_length(result.lengths):  # in increasing order
        used = max(used, int(np.abs(readout.sums(events[chosen, :steps])).max()))
    most = readout.largest_step * max(readout.kind.spans(steps))
    limit = READOUT_ACCUMULATOR.max
    return {"headroom_bits": _bits(used, limit), "guaranteed_bits": _bits(most, limit)}


def _accumulator_bits(largest: int) -> float | None:
    return _bits(int(largest), ACCUMULATOR.max)


def _bits(largest: int, limit: int) -> float | None:
    return float(np.log2((limit + 1) / largest)) if largest else None
