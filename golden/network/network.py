"""Recurrent layers with a linear read-out: the networks of this project, EGRU or dense."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.cells import find_cell
from golden.cells.event_gru import EGRU, State
from golden.readouts import readout_kind

LayerEvents = tuple[Tensor, ...]


class Network(nn.Module):
    """Recurrent layers, then a linear map of the last layer's events: of their mean over the
    steps of a sequence, of those of each step, or of the last step's.

    Args:
        input_size: features per step, or symbols, C.
        hidden_size: units per layer, H.
        outputs: classes or regression targets, K.
        num_layers: stacked layers.
        cell: name of a cell in :mod:`golden.cells`, such as "egru", "gru" or "lstm".
        readout: name of a read-out kind in :mod:`golden.readouts`, such as "mean".
        options: further options of the cell, except ``batch_first`` (always on) and ``trace``.

    The attribute named after the cell has the layers. Only EGRUs have integer models.
    """

    egru: EGRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        outputs: int,
        num_layers: int = 1,
        cell: str = "egru",
        readout: str = "mean",
        **options: Any,
    ):
        super().__init__()
        self.readout_kind = readout_kind(readout)
        # The arguments to rebuild this network, except device and dtype.
        self.config: dict[str, Any] = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "outputs": outputs,
            "num_layers": num_layers,
            "cell": cell,
            "readout": readout,
        } | {name: value for name, value in options.items() if name not in ("device", "dtype")}
        self.cell = find_cell(cell)
        self.cell.check_size(input_size, hidden_size, num_layers)
        self.add_module(cell, self.cell.make(input_size, hidden_size, num_layers, **options))
        self.readout = nn.Linear(
            hidden_size, outputs, device=options.get("device"), dtype=options.get("dtype")
        )

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> Tensor:
        """Outputs for sequences (N, T, C), or for symbols (N, T): (N, K), or (N, T, K)."""
        return self.run(x, state, lengths)[0]

    def run(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, LayerEvents, Any]:
        """``(outputs, events, state)``: events (N, T, H) of each EGRU layer, or the outputs of
        another cell's last layer, and the final state.

        Args:
            lengths: (N,) int64, how many of the T steps each sequence has; all if omitted. Events
                after them are 0, outputs of steps mean nothing, and the state is None. (Layers run
                on through the padding: that is faster than packed sequences, but loses the state.)
        """
        layers = getattr(self, self.cell.name)
        values = self.values(without_padding(x, lengths))
        events, state = self.cell.run(layers, values, state)
        if lengths is not None:
            events, state = tuple(without_padding(y, lengths) for y in events), None
        return self.readout(self.readout_kind.pool(events[-1], lengths)), events, state

    def values(self, x: Tensor) -> Tensor:
        """The layers' inputs (N, T, C): symbols (N, T) one-hot."""
        if x.is_floating_point():
            return x
        return F.one_hot(x, self.config["input_size"]).to(self.readout.weight.dtype)


def without_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Sequences (N, T, ...) with zeros after their ``lengths`` (N,), if they differ."""
    if lengths is None:
        return x
    padding = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
    return x.masked_fill(padding.view(*padding.shape, *[1] * (x.dim() - 2)), 0)


def detach(state: Any) -> Any:
    """The state of any cell, detached from its autograd graph."""
    if isinstance(state, torch.Tensor):
        return state.detach()
    return tuple(map(detach, state))
