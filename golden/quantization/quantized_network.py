"""Quantisation-aware training: a network whose forward pass is its integer model's."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.cells.event_gru import State
from golden.cells.surrogate import interval, straight_through, unit_interval
from golden.integer import IntegerEGRU
from golden.integer.numerics import BIAS, EVENT, THRESHOLD, Format
from golden.lengths import by_length
from golden.network.network import LayerEvents, Network, without_padding
from golden.quantization.integer_layer import integer_layer
from golden.quantization.quantize import QuantizeConfig
from golden.quantization.scales import Scales, choose_scales, to_numpy, unit_biases


class QuantizedNetwork(nn.Module):
    """A float network trained with the arithmetic of its integer model.

    Events, states and logits equal those of :meth:`integer` exactly. Gradients update the
    float parameters (``network``), which are never rounded; a parameter outside its format's
    range receives only gradients that lead back. Scales are chosen once, as in
    :func:`golden.quantize`, and kept. Dropout and drop-connect are not applied.

    Args:
        network: the initial network; copied.
        calibration_inputs: (N, T, C) real inputs, a representative sample.
        config: bit widths; 8-bit weights if omitted.
        lengths: (N,), how many of the T steps each of them has; all if omitted.

    Raises:
        ValueError: the network has no integer equivalent, or its weights could overflow an
            accumulator or are not finite. Training may cause the last two later.
    """

    def __init__(
        self,
        network: Network,
        calibration_inputs,
        config: QuantizeConfig | None = None,
        lengths=None,
    ):
        bits = (config or QuantizeConfig()).weight_bits
        self._set_up(network, lambda: choose_scales(network, calibration_inputs, bits, lengths))

    @classmethod
    def of(cls, network: Network, integer: IntegerEGRU) -> "QuantizedNetwork":
        """``network`` with the scales of an integer model that was made from it."""
        quantized = cls.__new__(cls)
        quantized._set_up(network, lambda: Scales.of(integer))
        return quantized

    def _set_up(self, network: Network, scales: Callable[[], Scales]) -> None:
        super().__init__()
        if (dtype := network.readout.weight.dtype) not in (torch.float32, torch.float64):
            raise ValueError(
                f"the network's {dtype} cannot hold the integer model's numbers: "
                f"convert it to float32 with network.float()"
            )
        self.scales = scales()
        self.network = copy.deepcopy(network)
        self.integer()

    def integer(self) -> IntegerEGRU:
        """The current integer model."""
        return self.scales.integer(self.network)

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> Tensor:
        """Logits of sequences (N, T, C), shaped as the float network's."""
        return self.run(x, state, lengths)[0]

    def run(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, LayerEvents, State]:
        """``(logits, events, state)``, as :meth:`golden.Network.run`; logits after the end of a
        sequence are 0."""
        integer, egru = self.integer(), self.network.egru
        x = self.network.values(without_padding(x, lengths))
        count, steps = x.shape[:2]
        lengths = torch.full((count,), steps) if lengths is None else lengths
        last = lengths.to(x.device) - 1
        raw = integer.checked_inputs(integer.quantize_inputs(to_numpy(x)))
        values = straight_through(x, _real(raw, integer.input_format, x)).transpose(0, 1)
        y0, h0 = egru._initial_state(values, state)
        value_format, events, last_y, last_h = integer.input_format, [], [], []
        for index, layer in enumerate(integer.layers):
            weight_ih, weight_hh, bias_ih, bias_hh, threshold = egru.layer_parameters(index)
            input_format, recurrent_format = self.scales.layers[index]
            values, h = integer_layer(
                values,
                y0[index],
                h0[index],
                _on_grid(weight_ih, layer.weight_input, input_format),
                _on_grid(weight_hh, layer.weight_recurrent, recurrent_format),
                _on_grid(unit_biases(bias_ih, bias_hh), layer.bias, BIAS).to(x.dtype),
                straight_through(
                    unit_interval(threshold), _real(layer.threshold, THRESHOLD, threshold)
                ),
                last, layer, value_format, egru.surrogate_height, egru.surrogate_width,
            )  # fmt: skip
            value_format = EVENT
            events.append(values.transpose(0, 1))
            last_y.append(values[last, range(count)])
            last_h.append(h)
        state = (torch.stack(last_y), torch.stack(last_h))
        return self._logits(events[-1], integer, lengths), tuple(events), state

    def _logits(self, y: Tensor, integer: IntegerEGRU, lengths: Tensor) -> Tensor:
        """The integer model's logits, exactly: float64 holds its sums exactly."""
        formats, raw, readout = self.scales.readout, integer.readout, self.network.readout
        assert formats is not None
        assert raw is not None
        weight = _on_grid(readout.weight, raw.weight, formats[0]).double()
        bias = _on_grid(readout.bias, raw.bias, formats[1]).double()
        kind = raw.kind
        logits = weight.new_zeros(*y.shape[: 1 + kind.per_step], raw.outputs)
        for steps, chosen in by_length(lengths.cpu().numpy()):
            spans = torch.tensor(kind.spans(steps), dtype=torch.float64, device=y.device)
            sums = F.linear(kind.totals(y[chosen, :steps].double()), weight)
            outputs = kind.outputs(sums + torch.outer(spans, bias))
            scaled = outputs / raw.scale * (raw.scale / kind.divisor(steps))
            logits[kind.place(chosen, steps)] = scaled
        return logits.to(y.dtype)


def _real(raw: np.ndarray, form: Format, like: Tensor) -> Tensor:
    return torch.from_numpy(form.real(raw)).to(like)


def _on_grid(parameter: Tensor, raw: np.ndarray, form: Format) -> Tensor:
    inside = interval(parameter, form.min * form.scale, form.max * form.scale)
    return straight_through(inside, _real(raw, form, parameter))
