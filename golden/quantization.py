"""From a trained float network to the integer model, and what that costs."""

import logging
from dataclasses import dataclass

import numpy as np
import torch

from golden.egru import EGRU
from golden.integer import IntegerEGRU, IntegerLayer, IntegerReadout
from golden.network import Network
from golden.numerics import (
    ACCUMULATOR,
    BIAS,
    EVENT,
    MAX_ALIGNMENT,
    OPERAND,
    THRESHOLD,
    VALUE_BITS,
    Format,
    weight_format,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """``weight_bits``: width of every weight, 2 ... 8."""

    weight_bits: int = 8


@dataclass(frozen=True)
class Comparison:
    """An integer model beside its float original, on the same inputs.

    Attributes:
        event_agreement: per layer, the share of units and steps on which both fire or neither.
        activity: per layer, the share of units and steps with an event: (float, integer).
        logit_error: root mean square difference of the logits, relative to the root mean
            square of the float ones; None without a read-out.
        accuracy: (float, integer); None without labels.
    """

    event_agreement: tuple[float, ...]
    activity: tuple[tuple[float, float], ...]
    logit_error: float | None = None
    accuracy: tuple[float, float] | None = None

    def __str__(self) -> str:
        lines = [
            f"layer {index}: events agree {agreement:.2%}, "
            f"activity {before:.2%} in float, {after:.2%} in integers"
            for index, (agreement, (before, after)) in enumerate(
                zip(self.event_agreement, self.activity, strict=True)
            )
        ]
        if self.logit_error is not None:
            lines.append(f"logits: relative error {self.logit_error:.2%}")
        if self.accuracy is not None:
            before, after = self.accuracy
            lines.append(f"accuracy: {before:.2%} in float, {after:.2%} in integers")
        return "\n".join(lines)


def quantize(
    network: Network | EGRU,
    calibration_inputs,
    config: QuantizeConfig | None = None,
    labels=None,
) -> IntegerEGRU:
    """The integer model of ``network``; logs what the quantisation costs.

    Each matrix gets the power-of-two scale with the least expected square error of its
    products: the weights' errors, weighted by the mean square of the value that each column
    meets on the calibration inputs.

    Args:
        network: a :class:`Network`, or an :class:`EGRU` for a model without a read-out.
        calibration_inputs: (N, T, C) real inputs, typical of those to come.
        config: the widths; 8-bit weights if omitted.
        labels: (N,) classes of the calibration inputs, to log the accuracy before and after.

    Raises:
        ValueError: for networks the integer model has no counterpart of, or whose weights
            could overflow an accumulator.
    """
    config = config or QuantizeConfig()
    egru, readout = (
        (network.egru, network.readout) if isinstance(network, Network) else (network, None)
    )
    if egru.zoneout:
        raise ValueError(
            "an EGRU with zoneout blends states in evaluation, which the integer model does not: "
            "train it without"
        )
    if egru.trace:
        raise ValueError("the integer model has no trace: read the events out instead")
    x = np.asarray(calibration_inputs, dtype=np.float64)
    if x.ndim != 3 or x.shape[2] != egru.input_size:
        raise ValueError(
            f"calibration inputs must have the shape (N, T, {egru.input_size}), not {x.shape}"
        )
    if not np.isfinite(x).all():
        raise ValueError("calibration inputs must be finite, but some are NaN or infinite")
    for name, parameter in network.named_parameters():
        if not parameter.isfinite().all():
            raise ValueError(f"{name} of the network has values that are NaN or infinite")

    input_format = Format(VALUE_BITS, _input_fraction(x))
    events = _layer_events(egru, x)
    layers = []
    values, value_fraction = x, input_format.fraction
    for index, y in enumerate(events):
        layers.append(_quantize_layer(egru, index, values, value_fraction, y, config.weight_bits))
        values, value_fraction = y, EVENT.fraction
    integer = IntegerEGRU(
        tuple(layers),
        input_format,
        None if readout is None else _quantize_readout(readout, values, config.weight_bits),
        config.weight_bits,
    )
    log.info("inputs %s\n%s", input_format, compare(network, integer, x, labels))
    return integer


def compare(network: Network | EGRU, integer: IntegerEGRU, inputs, labels=None) -> Comparison:
    """Run both on ``inputs`` (N, T, C), with ``labels`` (N,) if there are any."""
    x = np.asarray(inputs, dtype=np.float64)
    egru = network.egru if isinstance(network, Network) else network
    events = _layer_events(egru, x)
    result = integer.run(integer.quantize_inputs(x))
    agreement, activity = [], []
    for before, after in zip(events, result.events, strict=True):
        agreement.append(float(((before != 0) == (after != 0)).mean()))
        activity.append((float((before != 0).mean()), float((after != 0).mean())))
    if not isinstance(network, Network):
        return Comparison(tuple(agreement), tuple(activity))

    weight, bias = (_numpy(p) for p in (network.readout.weight, network.readout.bias))
    logits = events[-1].mean(1) @ weight.T + bias
    integer_logits = integer.logits(result.outputs, x.shape[1])
    error = float(np.sqrt(np.square(integer_logits - logits).mean() / np.square(logits).mean()))
    accuracy = None
    if labels is not None:
        labels = np.asarray(labels)
        accuracy = (
            float((logits.argmax(1) == labels).mean()),
            float((integer_logits.argmax(1) == labels).mean()),
        )
    return Comparison(tuple(agreement), tuple(activity), error, accuracy)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().contiguous().numpy()


def _layer_events(egru: EGRU, x: np.ndarray) -> list[np.ndarray]:
    """Per layer the float events (N, T, H), without any of training's noise."""
    training = egru.training
    egru.eval()
    values = torch.as_tensor(x).to(egru.layer_parameters(0)[0]).transpose(0, 1)
    events = []
    with torch.no_grad():
        for layer in range(egru.num_layers):
            zero = values.new_zeros(values.shape[1], egru.hidden_size)
            values, _, _ = egru.run_layer(layer, values, zero, zero)
            events.append(_numpy(values.transpose(0, 1)))
    egru.train(training)
    return events


def _input_fraction(x: np.ndarray) -> int:
    """The fraction with the least square error, from "saturates nothing" upwards."""
    coarsest = _finest_without_saturation(x, VALUE_BITS)

    def error(fraction: int) -> float:
        form = Format(VALUE_BITS, fraction)
        return float(np.square(form.real(form.quantize(x)) - x).sum())

    return min(range(coarsest, coarsest + 3), key=error)


def _finest_without_saturation(values: np.ndarray, bits: int) -> int:
    largest = float(np.abs(values).max(initial=0))
    if largest == 0:
        return 0
    return int(np.floor(np.log2(((1 << (bits - 1)) - 1) / largest)))


def _quantize_weight(
    name: str, weight: np.ndarray, values: np.ndarray, bits: int, fractions: range
) -> tuple[np.ndarray, int]:
    """Raw ``weight`` (rows, C) and its fraction, for ``values`` (N, T, C) to meet."""
    energy = np.square(values).mean((0, 1)) + 1e-12  # a column nothing meets still has a say

    def error(fraction: int) -> float:
        form = weight_format(bits, fraction)
        return float((np.square(form.real(form.quantize(weight)) - weight) * energy).sum())

    coarsest = min(max(_finest_without_saturation(weight, bits), fractions[0]), fractions[-1])
    fraction = min(range(coarsest, min(coarsest + 3, fractions[-1] + 1)), key=error)
    form = weight_format(bits, fraction)
    raw = form.quantize(weight)
    saturated = int((np.abs(weight) > form.max * form.scale).sum())
    relative = np.sqrt(error(fraction) / max(float((np.square(weight) * energy).sum()), 1e-300))
    log.info(
        "%s: %s, relative error %.2f %%, %d of %d saturated",
        name, form, 100 * relative, saturated, weight.size,
    )  # fmt: skip
    return raw, fraction


def _quantize_layer(
    egru: EGRU, index: int, values: np.ndarray, value_fraction: int, y: np.ndarray, bits: int
) -> IntegerLayer:
    weight_ih, weight_hh, bias_ih, bias_hh, threshold = map(_numpy, egru.layer_parameters(index))

    def aligned(name, weight, values, value_fraction):
        finest = ACCUMULATOR.fraction - value_fraction
        fractions = range(finest - MAX_ALIGNMENT, finest + 1)
        raw, fraction = _quantize_weight(f"layer {index} {name}", weight, values, bits, fractions)
        return raw, finest - fraction

    weight_input, input_alignment = aligned("weight_input", weight_ih, values, value_fraction)
    weight_recurrent, recurrent_alignment = aligned(
        "weight_recurrent", weight_hh, y, EVENT.fraction
    )
    ir, iz, ip = bias_ih.reshape(3, -1)
    hr, hz, hq = bias_hh.reshape(3, -1)
    bias = np.stack([ir + hr, iz + hz, ip, hq])
    if (saturated := int((np.abs(bias) > BIAS.real(BIAS.max)).sum())) > 0:
        log.warning("layer %d: %d biases saturate at %s", index, saturated, BIAS)
    return IntegerLayer(
        weight_input,
        weight_recurrent,
        BIAS.quantize(bias),
        THRESHOLD.quantize(threshold.clip(0, 1)),
        input_alignment,
        recurrent_alignment,
    )


def _quantize_readout(readout: torch.nn.Linear, y: np.ndarray, bits: int) -> IntegerReadout:
    weight, bias = _numpy(readout.weight), _numpy(readout.bias)
    raw, fraction = _quantize_weight("readout", weight, y, bits, range(0, ACCUMULATOR.fraction))
    # The bias has a scale of its own, as fine as its largest value allows; its operand
    # 2**(fraction + 8 - bias_fraction) must be a whole number within the operand's format.
    unit = fraction + EVENT.fraction
    bias_fraction = min(
        max(_finest_without_saturation(bias, bits), unit - (OPERAND.width - 2)), unit
    )
    return IntegerReadout(
        raw,
        weight_format(bits, bias_fraction).quantize(bias),
        fraction,
        1 << (unit - bias_fraction),
    )
