"""From a trained float network to the integer model, and what that costs."""

import logging
from dataclasses import dataclass

import numpy as np

from golden.cells.event_gru import EGRU
from golden.integer import IntegerEGRU
from golden.lengths import blank, checked, real_steps
from golden.network.network import Network
from golden.quantization.scales import (
    choose_scales,
    layer_events,
    parts,
    readout_kind,
    to_numpy,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """``weight_bits``: width of every weight, 2 ... 8."""

    weight_bits: int = 8


@dataclass(frozen=True)
class Agreement:
    """An integer model against its float network on the same inputs.

    Attributes:
        event_agreement: per layer, the share of units and steps where both or neither fire.
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
    lengths=None,
) -> IntegerEGRU:
    """The integer model of ``network``; logs the quantisation error.

    Args:
        network: a :class:`Network`, or an :class:`EGRU` for a model without a read-out.
        calibration_inputs: (N, T, C) real inputs, a representative sample.
        config: bit widths; 8-bit weights if omitted.
        labels: (N,) classes of the calibration inputs, to log the accuracy before and after.
        lengths: (N,), how many of the T steps each calibration input has; all if omitted.

    Raises:
        ValueError: the network has no integer equivalent, or its weights could overflow an
            accumulator.
    """
    config = config or QuantizeConfig()
    scales = choose_scales(network, calibration_inputs, config.weight_bits, lengths)
    integer = scales.integer(network)
    log.info("%s", compare(network, integer, calibration_inputs, labels, lengths))
    return integer


def compare(
    network: Network | EGRU, integer: IntegerEGRU, inputs, labels=None, lengths=None
) -> Agreement:
    """Run both models on ``inputs`` (N, T, C), which end after their ``lengths`` (N,), if they
    differ. ``labels`` (optional) are (N,), or (N, T) if every step is read out."""
    x = np.asarray(inputs, dtype=np.float64)
    lengths = checked(lengths, *x.shape[:2])
    x, real = blank(x, lengths), real_steps(lengths, x.shape[1])
    egru, readout = parts(network)
    events = layer_events(egru, x, lengths)
    result = integer.run(integer.quantize_inputs(x), lengths=lengths)
    agreement, activity = [], []
    for of_float, of_integer in zip(events, result.events, strict=True):
        before, after = of_float[real] != 0, of_integer[real] != 0
        agreement.append(float((before == after).mean()))
        activity.append((float(before.mean()), float(after.mean())))
    if readout is None:
        return Agreement(tuple(agreement), tuple(activity))

    weight, bias = to_numpy(readout.weight), to_numpy(readout.bias)
    kind = readout_kind(network)
    scored = real if kind.per_step else slice(None)
    logits = (kind.pool(events[-1], lengths) @ weight.T + bias)[scored]
    integer_logits = integer.logits(result.outputs, lengths)[scored]
    error = float(np.sqrt(np.square(integer_logits - logits).mean() / np.square(logits).mean()))
    accuracy = None
    if labels is not None:
        labels = np.asarray(labels)[scored]
        accuracy = (
            float((logits.argmax(-1) == labels).mean()),
            float((integer_logits.argmax(-1) == labels).mean()),
        )
    return Agreement(tuple(agreement), tuple(activity), error, accuracy)
