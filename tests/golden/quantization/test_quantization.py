"""Quantisation: the integer model follows the float network, and says what it costs."""

import logging

import numpy as np
import pytest
import torch

from golden import EGRU, Network, QuantizeConfig, load_model, quantize
from golden.quantization.quantize import compare
from golden.tasks import TASKS


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def make(
    seed: int, inputs: int, hidden: int, layers: int, gain: float = 1.0, readout: str = "mean"
) -> tuple:
    print("seed", seed)
    torch.manual_seed(seed)
    network = Network(inputs, hidden, 4, layers, readout=readout)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "bias" in name:
                parameter.normal_(0, 0.3)
            elif "weight_" in name:
                parameter.mul_(gain)
    x = np.random.default_rng(seed).normal(size=(20, 25, inputs))
    return network, x


@pytest.mark.parametrize(("seed", "layers"), [(0, 1), (1, 2), (2, 3)])
def test_eight_bits_follow_the_float_network(seed, layers):
    network, x = make(seed, 3, 24, layers)
    result = compare(network, quantize(network, x), x)
    assert min(result.event_agreement) > 0.985
    for before, after in result.activity:
        assert 0.02 < before < 0.5
        assert abs(before - after) < 0.01
    assert result.logit_error < 0.04


def test_fewer_bits_cost_more():
    network, x = make(3, 3, 24, 2)
    errors = []
    for bits in (8, 4, 2):
        integer = quantize(network, x, QuantizeConfig(weight_bits=bits))
        assert integer.weight_bits == bits
        errors.append(compare(network, integer, x).logit_error)
    assert errors == sorted(errors)


def test_scales_shrink_with_large_weights_and_grow_with_small_ones():
    fractions = []
    for gain in (0.1, 1.0, 6.0):
        network, x = make(4, 2, 8, 1, gain)
        layer = quantize(network, x).layers[0]
        fractions.append(layer.recurrent_fraction)
        # The codes' range is used, unless the accumulator's own step limits the scale.
        assert np.abs(layer.weight_recurrent).max() > 63 or layer.recurrent_alignment == 0
    assert fractions == sorted(fractions)[::-1]
    assert fractions[0] > fractions[2]


def test_the_shipped_model_is_what_quantize_gives():
    shipped = load_model("golden/models/mnist1d.safetensors")
    integer = quantize(shipped.network(), TASKS["mnist1d"].train()[0][:500])
    assert integer.input_format == shipped.integer.input_format
    for found, expected in (
        (integer.layers[0], shipped.integer.layers[0]),
        (integer.readout, shipped.integer.readout),
    ):
        for name, value in vars(expected).items():
            assert np.array_equal(getattr(found, name), value), name


def test_symbols_as_one_hot_inputs_stay_exactly_so():
    network, _ = make(11, 5, 6, 1)
    x = np.eye(5)[np.random.default_rng(11).integers(0, 5, (4, 10))]
    integer = quantize(network, x)
    assert integer.one_hot
    assert np.array_equal(integer.input_format.real(integer.quantize_inputs(x)), x)
    x[2, 3] = [1, 0, 1, 0, 0]
    assert not quantize(network, x).one_hot
    x[2, 3] = [0, 0, 0.5, 0, 0]
    assert not quantize(network, x).one_hot


def test_a_readout_of_every_step_is_compared_step_by_step():
    network, x = make(12, 3, 24, 1, readout="steps")
    integer = quantize(network, x)
    (y,) = network.run(torch.tensor(x, dtype=torch.float32))[1]
    labels = network.readout(y).argmax(-1)  # (N, T)
    result = compare(network, integer, x, labels)
    assert result.logit_error < 0.2
    assert result.accuracy[0] == 1
    assert 0.9 < result.accuracy[1] < 1


def test_thresholds_outside_the_interval_are_clamped():
    network, x = make(5, 2, 3, 1)
    with torch.no_grad():
        network.egru.threshold_l0.copy_(torch.tensor([-0.3, 0.25, 1.7]))
    assert quantize(network, x).layers[0].threshold.tolist() == [0, 2**13, 2**15]


def test_an_egru_alone_has_no_readout():
    egru = EGRU(3, 6, 2)
    x = np.random.default_rng(6).normal(size=(4, 10, 3))
    integer = quantize(egru, x)
    assert (integer.outputs, integer.hidden_sizes) == (0, (6, 6))
    assert compare(egru, integer, x).logit_error is None


def test_cost_is_logged_with_accuracy_when_labels_are_given(caplog):
    network, x = make(7, 2, 5, 1)
    with caplog.at_level(logging.INFO, logger="golden"):
        quantize(network, x, labels=np.zeros(20, int))
    for words in ("layer 0 weight_input: SQ(", "readout: SQ(", "events agree", "accuracy: "):
        assert words in caplog.text


def test_quantising_leaves_the_network_as_it_was():
    network, x = make(8, 2, 5, 1)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    quantize(network, x)
    assert network.training
    assert network.egru.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("options", "words"),
    [({"zoneout": 0.1}, "zoneout"), ({"trace": True}, "has no trace")],
)
def test_networks_without_integer_counterpart_rejected(options, words):
    with pytest.raises(ValueError, match=words):
        quantize(EGRU(2, 3, **options), np.zeros((1, 4, 2)))


def test_weights_that_could_overflow_rejected():
    network, x = make(9, 2, 40, 1, gain=60)
    with pytest.raises(ValueError, match=r"layer 0, accumulator . of unit"):
        quantize(network, x)


def test_calibration_inputs_of_another_shape_rejected():
    with pytest.raises(ValueError, match=r"shape \(N, T, 2\), not \(1, 4, 3\)"):
        quantize(EGRU(2, 3), np.zeros((1, 4, 3)))


def test_values_that_are_no_numbers_rejected():
    network, x = make(10, 2, 3, 1)
    with pytest.raises(ValueError, match="calibration inputs must be finite"):
        quantize(network, np.full((1, 4, 2), np.nan))
    with torch.no_grad():
        network.readout.bias[1] = torch.inf
    with pytest.raises(ValueError, match=r"readout\.bias of the network has values that are NaN"):
        quantize(network, x)
