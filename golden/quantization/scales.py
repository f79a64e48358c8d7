"""Scales of an integer model: chosen on calibration inputs, applied to a network's parameters."""

import logging
from dataclasses import dataclass

import numpy as np
import torch

from golden.cells.event_gru import EGRU
from golden.integer import IntegerEGRU, IntegerLayer, IntegerReadout
from golden.integer.numerics import (
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
from golden.lengths import blank, checked, real_steps
from golden.network.network import Network
from golden.readouts import READOUTS, ReadoutKind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scales:
    """Everything about an integer model that is chosen and not trained.

    Attributes:
        weight_bits: width of every weight and of the read-out's bias.
        input_format: format of the first layer's inputs.
        layers: per layer the formats of weight_input and weight_recurrent.
        readout: the formats of the read-out's weight and bias; None without one.
        one_hot: whether inputs are symbols, see :class:`golden.IntegerEGRU`.
    """

    weight_bits: int
    input_format: Format
    layers: tuple[tuple[Format, Format], ...]
    readout: tuple[Format, Format] | None
    one_hot: bool

    @classmethod
    def of(cls, integer: IntegerEGRU) -> "Scales":
        """The scales that ``integer`` was made with."""
        bits, value_fraction, layers = integer.weight_bits, integer.input_format.fraction, []
        for layer in integer.layers:
            fractions = layer.input_fraction(value_fraction), layer.recurrent_fraction
            layers.append((weight_format(bits, fractions[0]), weight_format(bits, fractions[1])))
            value_fraction = EVENT.fraction
        readout = None
        if integer.readout is not None:
            fraction, operand = integer.readout.fraction, integer.readout.bias_operand
            bias_fraction = fraction + EVENT.fraction - (operand.bit_length() - 1)
            readout = weight_format(bits, fraction), weight_format(bits, bias_fraction)
        return cls(bits, integer.input_format, tuple(layers), readout, integer.one_hot)

    def integer(self, network: Network | EGRU) -> IntegerEGRU:
        """The integer model of ``network`` with these scales.

        Raises:
            ValueError: if its weights could overflow an accumulator or are not finite.
        """
        _check_finite(network)
        egru, readout = parts(network)
        layers = []
        value_fraction = self.input_format.fraction
        for index, (weight_input, weight_recurrent) in enumerate(self.layers):
            weight_ih, weight_hh, bias_ih, bias_hh, threshold = egru.layer_parameters(index)
            layers.append(
                IntegerLayer(
                    weight_input.quantize(to_numpy(weight_ih)),
                    weight_recurrent.quantize(to_numpy(weight_hh)),
                    BIAS.quantize(to_numpy(unit_biases(bias_ih, bias_hh))),
                    THRESHOLD.quantize(to_numpy(threshold.clamp(0, 1))),
                    ACCUMULATOR.fraction - value_fraction - weight_input.fraction,
                    ACCUMULATOR.fraction - EVENT.fraction - weight_recurrent.fraction,
                )
            )
            value_fraction = EVENT.fraction
        integer_readout = None
        if readout is not None and self.readout is not None:
            weight, bias = self.readout
            integer_readout = IntegerReadout(
                weight.quantize(to_numpy(readout.weight)),
                bias.quantize(to_numpy(readout.bias)),
                weight.fraction,
                1 << (weight.fraction + EVENT.fraction - bias.fraction),
                readout_kind(network),
            )
        return IntegerEGRU(
            tuple(layers), self.input_format, integer_readout, self.weight_bits, self.one_hot
        )


def choose_scales(
    network: Network | EGRU, calibration_inputs, weight_bits: int, lengths=None
) -> Scales:
    """The scales of ``network``; logs their errors.

    Each matrix gets the power of two that minimises the expected squared error of its products:
    weight errors, weighted by the mean square of each column's inputs on the calibration
    inputs (N, T, C), which end after their ``lengths`` (N,), if they differ.

    Raises:
        ValueError: the network has no integer equivalent.
    """
    egru, readout = parts(network)
    if egru.zoneout:
        raise ValueError(
            "the integer model does not support zoneout, which blends states in evaluation: "
            "train without it"
        )
    if egru.trace:
        raise ValueError("the integer model has no trace: use the events instead")
    x = np.asarray(calibration_inputs, dtype=np.float64)
    if x.ndim != 3 or x.shape[2] != egru.input_size:
        raise ValueError(
            f"calibration inputs must have the shape (N, T, {egru.input_size}), not {x.shape}"
        )
    lengths = checked(lengths, *x.shape[:2])
    x, real = blank(x, lengths), real_steps(lengths, x.shape[1])
    if not np.isfinite(x).all():
        raise ValueError("calibration inputs must be finite, but some are NaN or infinite")
    _check_finite(network)

    values = x[real]
    input_format = Format(VALUE_BITS, _input_fraction(values))
    log.info("inputs %s", input_format)
    layers = []
    value_fraction = input_format.fraction
    for index, events in enumerate(layer_events(egru, x, lengths)):
        y = events[real]
        weight_ih, weight_hh, bias_ih, bias_hh, _ = egru.layer_parameters(index)
        formats = []
        for name, weight, met, fraction in (
            ("weight_input", weight_ih, values, value_fraction),
            ("weight_recurrent", weight_hh, y, EVENT.fraction),
        ):
            finest = ACCUMULATOR.fraction - fraction
            fractions = range(finest - MAX_ALIGNMENT, finest + 1)
            formats.append(
                _weight_format(
                    f"layer {index} {name}", to_numpy(weight), met, weight_bits, fractions
                )
            )
        layers.append((formats[0], formats[1]))
        bias = to_numpy(unit_biases(bias_ih, bias_hh))
        if (saturated := int((np.abs(bias) > BIAS.real(BIAS.max)).sum())) > 0:
            log.warning("layer %d: %d biases saturate at %s", index, saturated, BIAS)
        values, value_fraction = y, EVENT.fraction
    scales = None if readout is None else _readout_formats(readout, values, weight_bits)
    return Scales(weight_bits, input_format, tuple(layers), scales, _is_one_hot(x[real]))


def _check_finite(network: Network | EGRU) -> None:
    for name, parameter in network.named_parameters():
        if not parameter.isfinite().all():
            raise ValueError(f"{name} of the network has values that are NaN or infinite")


def parts(network: Network | EGRU) -> tuple[EGRU, torch.nn.Linear | None]:
    """The layers and the read-out, if there is one."""
    return (network.egru, network.readout) if isinstance(network, Network) else (network, None)


def readout_kind(network: Network | EGRU) -> ReadoutKind:
    """The read-out kind of ``network``; "mean" for an EGRU alone."""
    return READOUTS[network.config["readout"] if isinstance(network, Network) else "mean"]


def unit_biases(bias_ih: torch.Tensor, bias_hh: torch.Tensor) -> torch.Tensor:
    """[4, H] float64, a bias for each of a unit's accumulators (r, z, p, q)."""
    ir, iz, ip = bias_ih.double().chunk(3)
    hr, hz, hq = bias_hh.double().chunk(3)
    return torch.stack([ir + hr, iz + hz, ip, hq])


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().contiguous().numpy()


def layer_events(egru: EGRU, x: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """The float events (N, T, H) of each layer in evaluation mode, 0 after ``lengths`` (N,)."""
    training, batch = egru.training, 0 if egru.batch_first else 1
    values = torch.as_tensor(x).to(egru.layer_parameters(0)[0]).movedim(0, batch)
    with torch.no_grad():
        events, _ = egru.eval().run_layers(values)
    egru.train(training)
    return [blank(to_numpy(y.movedim(batch, 0)), lengths) for y in events]


def _is_one_hot(x: np.ndarray) -> bool:
    """Whether inputs (M, C) are symbols: at most one 1 a step, and zeros."""
    return x.shape[1] > 1 and bool(np.isin(x, (0, 1)).all() and x.sum(1).max() <= 1)


def _input_fraction(x: np.ndarray) -> int:
    """The fraction with the least squared error, from the saturation-free one up."""
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


def _weight_format(
    name: str, weight: np.ndarray, values: np.ndarray, bits: int, fractions: range
) -> Format:
    """The best of ``fractions`` for ``weight`` (rows, C) with inputs ``values`` (M, C)."""
    energy = np.square(values).mean(0) + 1e-12  # unused columns still count

    def error(form: Format) -> float:
        return float((np.square(form.real(form.quantize(weight)) - weight) * energy).sum())

    coarsest = min(max(_finest_without_saturation(weight, bits), fractions[0]), fractions[-1])
    candidates = range(coarsest, min(coarsest + 3, fractions[-1] + 1))
    form = min((weight_format(bits, fraction) for fraction in candidates), key=error)
    saturated = int((np.abs(weight) > form.max * form.scale).sum())
    relative = np.sqrt(error(form) / max(float((np.square(weight) * energy).sum()), 1e-300))
    log.info(
        "%s: %s, relative error %.2f %%, %d of %d saturated",
        name, form, 100 * relative, saturated, weight.size,
    )  # fmt: skip
    return form


def _readout_formats(readout: torch.nn.Linear, y: np.ndarray, bits: int) -> tuple[Format, Format]:
    weight, bias = to_numpy(readout.weight), to_numpy(readout.bias)
    form = _weight_format("readout", weight, y, bits, range(0, ACCUMULATOR.fraction))
    # The bias has a scale of its own, as fine as its largest value allows; its operand
    # 2**(fraction + 8 - bias_fraction) must be a whole number within the operand's format.
    unit = form.fraction + EVENT.fraction
    finest = _finest_without_saturation(bias, bits)
    return form, weight_format(bits, min(max(finest, unit - (OPERAND.width - 2)), unit))
