"""What running a network costs, by NeuroBench's definitions (Yik et al., 2025; version 2.3).

*Footprint*: bytes of all parameters. *Activation sparsity*: share of outputs that are zero, over
layers, steps and sequences. *Synaptic operations*: products of a weight and a value; effective
ones have neither factor zero, dense ones are all. They are accumulates (AC) where a product's
values are all -1, 0 or 1, else multiply-accumulates (MAC). Those of a cell include, as in
NeuroBench's count for torch.nn.GRUCell and LSTMCell, the products of gates and states: three for
each unit, of which one is zero where the state is. Biases, thresholds and tables are free.

Two deviations: the products W x and R y of a cell are AC or MAC each on their own, where NeuroBench
judges a cell by x alone; and dense counts are those of all steps, where NeuroBench leaves out what
an LSTM does with a state of zero.
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

ROWS = 20_000  # sequences times steps that are run together: the core then writes 51 MB at H = 128
STREAM_STEPS = 1000
GATE_PRODUCTS = 3  # GRU: r q, z h, (1 - z) g; LSTM: f c, i g, o tanh(c)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Means over all steps of the inputs.

    Attributes:
        parameters: how many.
        footprint: bytes.
        activity: per layer, the share of units and steps whose output is not zero.
        activation_sparsity: share of zeros among all outputs.
        backward_sparsity: per layer, the share of units and steps that are silent and outside
            the surrogate's window: of what comes back through R and the layer above, nothing is
            needed there. 0 for other cells.
        dense, macs, acs: synaptic operations a step: all, and the effective ones of both kinds.
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
    """Of running ``network`` on all sequences of ``split``; a stream's state is carried.

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
        activity=tuple(layer.spoken / layer.outputs for layer in layers),
        activation_sparsity=1 - sum(layer.spoken for layer in layers) / outputs,
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
    """Counts the products of a matrix [J, K] with values (..., K)."""

    def __init__(self, weight: Tensor):
        self.used = weight.detach().count_nonzero(0).double()  # by column
        self.size = weight.numel()
        self.dense, self.effective, self.binary = 0, 0.0, True

    def see(self, values: Tensor) -> None:
        spoken = values.flatten(0, -2)
        self.dense += len(spoken) * self.size
        self.effective += (spoken.count_nonzero(0).double() @ self.used).item()
        self.binary &= bool(((values == 0) | (values.abs() == 1)).all())


class _Layer:
    """Runs a layer and counts; of ``network``'s recurrent part the layer ``index``."""

    def __init__(self, module: Any, index: int):
        self.module, self.index = module, index
        self.products = tuple(
            _Product(getattr(module, f"{name}_l{index}")) for name in ("weight_ih", "weight_hh")
        )
        self.outputs = self.spoken = self.near = self.gates = 0

    def run(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The outputs (N, T, H) for inputs (N, T, C), and the state to go on from."""
        count, size = len(x), self.module.hidden_size
        before, inner = (x.new_zeros(count, size), None) if state is None else state
        y, near, inner = self._forward(x, before, inner)
        self.products[0].see(x)
        self.products[1].see(torch.cat([before[:, None], y[:, :-1]], 1))
        self.outputs += y.numel()
        self.spoken += int(y.count_nonzero())
        self.near += near
        # At a sequence's first step there is no state yet to be multiplied.
        self.gates += GATE_PRODUCTS * y.numel() - (count * size if state is None else 0)
        return y, (y[:, -1], inner)

    def _forward(self, x: Tensor, before: Tensor, inner: Any) -> tuple[Tensor, int, Any]:
        """The outputs, how many units and steps a gradient is needed at, and the inner state."""
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
            f"what goes from layer to layer is not seen; take one layer"
        )
    return [_Layer(module, index) for index in range(module.num_layers)]
