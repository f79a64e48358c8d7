"""Error budgets: stages are the models that they name, and sums those that occur."""

import numpy as np
import pytest
import torch

from golden import Network, QuantizeConfig, QuantizedNetwork, quantize
from golden.budget import differing, error_budget, largest_sums, rounded
from golden.evaluation import score_integer, score_network
from golden.integer import SUMS
from golden.integer.numerics import ACCUMULATOR
from golden.quantization.scales import Scales, choose_scales
from sim.random_models import random_inputs, random_model
from tests.helpers.streams import generator
from tests.helpers.toy import Toy


@pytest.fixture(params=[(1, "mean", 8), (2, "steps", 8), (3, "last", 4)], ids=str)
def pair(request):
    """A network, the integer model made from it, and the inputs that its scales were chosen on."""
    layers, readout, bits = request.param
    rng = generator(8)
    torch.manual_seed(8)
    network = Network(2, 7, 2, layers, readout=readout)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "bias" in name:
                parameter.normal_(0, 0.3)
    x = rng.normal(size=(6, 9, 2))
    return network.eval(), quantize(network, x, QuantizeConfig(weight_bits=bits)), x


def arrays(integer):
    layers = [(a.weight_input, a.weight_recurrent, a.bias, a.threshold) for a in integer.layers]
    return [array for layer in layers for array in layer] + [
        integer.readout.weight,
        integer.readout.bias,
    ]


def test_the_scales_of_a_model_are_those_it_was_made_with(pair):
    network, integer, x = pair
    assert Scales.of(integer) == choose_scales(network, x, integer.weight_bits)


def test_the_quantised_network_of_a_model_computes_what_it_does(pair):
    network, integer, x = pair
    logits, events, _ = QuantizedNetwork.of(network, integer).run(torch.from_numpy(x))
    result = integer.run(integer.quantize_inputs(x))
    found = logits.detach().numpy()
    assert np.array_equal(found, integer.logits(result.outputs, 9).astype(found.dtype))
    for found, expected in zip(events, result.events, strict=True):
        assert np.array_equal(found.detach().numpy() * 256, expected)


def test_rounded_parameters_are_those_of_the_integer_model(pair):
    network, integer, _ = pair
    made = rounded(network, integer)
    again = Scales.of(integer).integer(made)
    for found, expected in zip(arrays(again), arrays(integer), strict=True):
        assert np.array_equal(found, expected)
    for name, parameter in network.state_dict().items():
        if "weight" in name:
            assert not torch.equal(parameter, made.state_dict()[name]), name


def test_the_largest_sums_are_those_of_a_slow_model():
    rng = generator(9)
    model = random_model(rng, 3, (5,), threshold=2000)
    x, lengths = random_inputs(rng, 2, 6, 3), np.array([6, 4])
    x[1, 4:] = 255  # padding
    events, layer = model.run(x, lengths=lengths).events[0], model.layers[0]
    expected = dict.fromkeys(SUMS, 0)
    for sequence in range(2):
        y = [0] * 5
        for t in range(lengths[sequence]):
            for unit in range(5):
                sums = {name: int(layer.bias[row, unit]) << 5 for row, name in enumerate(SUMS)}
                for row, gate in enumerate("rzn"):
                    inputs = recurrent = 0
                    for c, value in enumerate(x[sequence, t].tolist()):
                        weight = int(layer.weight_input[5 * row + unit, c])
                        inputs += weight * (value << layer.input_alignment)
                    for u, value in enumerate(y):
                        weight = int(layer.weight_recurrent[5 * row + unit, u])
                        recurrent += weight * (value << layer.recurrent_alignment)
                    if gate == "n":
                        sums["p"] += inputs
                        sums["q"] += recurrent
                    else:
                        sums[gate] += inputs + recurrent
                for name, value in sums.items():
                    expected[name] = max(expected[name], abs(value))
            y = events[sequence, t].tolist()
    assert largest_sums(layer, x, events, lengths).tolist() == list(expected.values())


def test_events_differ_where_only_one_train_has_one():
    before = np.array([[1, 0, 5, 0, 0]])
    assert differing(before, before * 2) == 0
    assert differing(before, np.array([[1, 7, 0, 0, 0]])) == 2 / 3
    assert differing(before * 0, before * 0) == 0


def test_the_budget_has_every_stage_and_layer():
    task = Toy()
    torch.manual_seed(10)
    network = Network(2, 6, 2, 2).eval()
    integer = quantize(network, task.everything().inputs, QuantizeConfig(weight_bits=2))
    phases = []
    found = error_budget(task, network, integer, lambda phase, share: phases.append(phase))
    split = task.test()
    accuracy = found["accuracy"]
    assert accuracy["float"] == score_network(network, split, False).metric
    assert accuracy["weights"] != accuracy["float"]
    assert accuracy["weights"] == score_network(rounded(network, integer), split, False).metric
    assert accuracy["integer"] == accuracy["weights and activations"]
    assert accuracy["integer"] == score_integer(integer, task, split).metric
    assert found["measured_on"] == {"sequences": 50, "steps": 6}
    below, above = found["layers"]
    assert 0 < below["events_differ"] == below["events_differ_alone"] < 1
    assert above["events_differ"] > above["events_differ_alone"] > 0
    for part in (*found["layers"], {k: {"": v} for k, v in found["readout"].items()}):
        for name, bits in part["headroom_bits"].items():
            assert bits >= part["guaranteed_bits"][name] >= 0
    assert len(phases) == 5

    x = integer.quantize_inputs(split.inputs)
    events = integer.run(x).events
    for layer, values, fired, part in zip(
        integer.layers, (x, events[0]), events, found["layers"], strict=True
    ):
        used = largest_sums(layer, values, fired, np.full(50, 6))
        bits = np.log2((ACCUMULATOR.max + 1) / used)
        assert list(part["headroom_bits"].values()) == pytest.approx(bits)
