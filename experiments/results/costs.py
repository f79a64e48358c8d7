"""The cost of running a network, by NeuroBench's definitions (Yik et al., 2025; version 2.3).

*Footprint*: bytes of all parameters. *Activation sparsity*: share of outputs that are zero, over
layers, steps and sequences. *Synaptic operations*: products of a weight and a value. Dense
operations are all of them, effective ones those without a zero factor. They are accumulates (AC) if
a product's values are all -1, 0 or 1, and multiply-accumulates (MAC) otherwise. As in NeuroBench's
count for torch.nn.GRUCell and LSTMCell, a cell includes the products of gates and states: three per
unit, one of them zero if the state is. Biases, thresholds and tables are free.

There are two deviations. W x and R y of a cell are classified as AC or MAC separately, while
NeuroBench classifies a cell by x alone. Dense counts include all steps, while NeuroBench leaves out
the products of an LSTM with an initial state of zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from golden import core
from golden.cells.event_gru import EGRU
from golden.cells.surrogate import unit_interval
from golden.evaluation import windows
from golden.integer import IntegerEGRU
from golden.integer.numerics import BIAS, THRESHOLD
from golden.network.network import Network
from golden.tasks import Split

ROWS = 20_000  # sequences times steps of a batch: the core writes 51 MB for them at H = 128
STREAM_STEPS = 1000
GATE_PRODUCTS = 3  # GRU: r q, z h, (1 - z) g; LSTM: f c, i g, o tanh(c)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Means over all steps of the inputs.

    Attributes:
        parameters: their number.
        footprint: bytes of all parameters.
        activity: per layer, the share of units and steps whose output is not zero.
        activation_sparsity: share of zeros among all outputs.
        backward_sparsity: per layer, the share of units and steps that are silent and outside
            the surrogate's window. They need no gradient through R or from the layer above.
            0 for other cells.
        dense, macs, acs: synaptic operations per step: all, and the effective ones of both kinds.
    """

    parameters: int
    footprint: int
    activity: tuple[float, ...]
    activation_sparsity: float
    backward_sparsity: tuple[float, ...]
    dense: float
    macs: float
    acs: float


def costs(network: Network, split: Split, stream: bool) -> Costs:
    """The costs of ``network`` on all sequences of ``split``; a stream's state is carried on.

    Raises:
        ValueError: the network has several layers of a cell that is not EGRU.
    """
    layers = _layers(network)
    readout = _Product(network.readout.weight)
    rows, state = 0, [None] * len(layers)
    with torch.no_grad():
        for part in _parts(split, stream):
            values = network.values(torch.from_numpy(part.inputs))
            if not stream:
                state = [None] * len(layers)
            for index, layer in enumerate(layers):
                values, state[index] = layer.run(values, state[index])
            readout.see(network.readout_kind.pool(values))
            rows += values.shape[0] * values.shape[1]
    products = [readout, *(product for layer in layers for product in layer.products)]
    of_gates = [layer.gates for layer in layers]
    outputs = sum(layer.outputs for layer in layers)
    return Costs(
        parameters=sum(p.numel() for p in network.parameters()),
        footprint=sum(p.nbytes for p in (*network.parameters(), *network.buffers())),
        activity=tuple(layer.events / layer.outputs for layer in layers),
        activation_sparsity=1 - sum(layer.events for layer in layers) / outputs,
        backward_sparsity=tuple(1 - layer.near / layer.outputs for layer in layers),
        dense=(sum(p.dense for p in products) + GATE_PRODUCTS * outputs) / rows,
        macs=(sum(p.effective for p in products if not p.binary) + sum(of_gates)) / rows,
        acs=sum(p.effective for p in products if p.binary) / rows,
    )


def integer_footprint(integer: IntegerEGRU) -> int:
    """Bytes of an integer model's parameters."""
    readout = integer.readout
    weights = 0 if readout is None else readout.weight.size + readout.bias.size
    others = 0
    for layer in integer.layers:
        weights += layer.weight_input.size + layer.weight_recurrent.size
        others += layer.bias.size * BIAS.width + layer.threshold.size * THRESHOLD.width
    return -(-(weights * integer.weight_bits + others) // 8)


def _parts(split: Split, stream: bool) -> Iterator[Split]:
    if stream:
        yield from windows(split, STREAM_STEPS)
        return
    count = max(1, ROWS // split.inputs.shape[1])
    for begin in range(0, len(split.targets), count):
        yield split.take(slice(begin, begin + count))


class _Product:
    """Counts the products of a matrix (J, K) with values (..., K)."""

    def __init__(self, weight: Tensor):
        self.used = weight.detach().count_nonzero(0).double()  # by column
        self.size = weight.numel()
        self.dense, self.effective, self.binary = 0, 0.0, True

    def see(self, values: Tensor) -> None:
        rows = values.flatten(0, -2)
        self.dense += len(rows) * self.size
        self.effective += (rows.count_nonzero(0).double() @ self.used).item()
        self.binary &= bool(((values == 0) | (values.abs() == 1)).all())


class _Layer:
    """Runs layer ``index`` of a recurrent module and counts its operations."""

    def __init__(self, module: Any, index: int):
        self.module, self.index = module, index
        self.products = tuple(
            _Product(getattr(module, f"{name}_l{index}")) for name in ("weight_ih", "weight_hh")
        )
        self.outputs = self.events = self.near = self.gates = 0

    def run(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The outputs (N, T, H) for inputs (N, T, C), and the final state."""
        count, size = len(x), self.module.hidden_size
        before, inner = (x.new_zeros(count, size), None) if state is None else state
        y, near, inner = self._forward(x, before, inner)
        self.products[0].see(x)
        self.products[1].see(torch.cat([before[:, None], y[:, :-1]], 1))
        self.outputs += y.numel()
        self.events += int(y.count_nonzero())
        self.near += near
        # In the first step of a sequence the state is zero.
        self.gates += GATE_PRODUCTS * y.numel() - (count * size if state is None else 0)
        return y, (y[:, -1], inner)

    def _forward(self, x: Tensor, before: Tensor, inner: Any) -> tuple[Tensor, int, Any]:
        """The outputs, the number of units and steps that need a gradient, and the inner state."""
        if not isinstance(self.module, EGRU):
            y, inner = self.module(x, inner)
            return y, y.numel(), inner
        egru = self.module
        *weights, threshold = egru.layer_parameters(self.index)
        h = torch.zeros_like(before) if inner is None else inner
        y, h, _, near, _ = core.layer(
            x.transpose(0, 1), *weights, unit_interval(threshold), before, h, None, None, 0.0,
            egru.surrogate_height, egru.surrogate_width, True,
        )  # fmt: skip
        return y.transpose(0, 1), int(near.count_nonzero()), h


def _layers(network: Network) -> list[_Layer]:
    module = getattr(network, network.cell.name)
    if not isinstance(module, EGRU) and module.num_layers > 1:
        raise ValueError(
            f"costs of {module.num_layers} layers of {network.config['cell']} cannot be counted: "
            f"the values between the layers are not accessible; use one layer"
        )
    return [_Layer(module, index) for index in range(module.num_layers)]
