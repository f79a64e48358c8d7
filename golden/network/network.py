"""Recurrent layers with a linear read-out: the networks of this project, EGRU or dense."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.network.egru import EGRU, State
from golden.readouts import readout_kind


class LSTM(nn.LSTM):
    """torch.nn's, with ``forget_bias`` added to what the forget gate's bias is at the start: the
    higher, the longer a unit remembers."""

    def __init__(self, *sizes: int, forget_bias: float = 0.0, **options: Any):
        super().__init__(*sizes, **options)
        with torch.no_grad():
            for name, bias in self.named_parameters():
                if name.startswith("bias_ih"):
                    bias[self.hidden_size : 2 * self.hidden_size] += forget_bias


Cell = Literal["egru", "gru", "lstm"]
CELLS: dict[str, type[nn.Module]] = {"egru": EGRU, "gru": nn.GRU, "lstm": LSTM}
Events = tuple[Tensor, ...]


def make_layers(cell: Cell, *sizes: int, **options: Any) -> nn.Module:
    """Layers of a cell, batch first; ``sizes`` are its input size, hidden size and layers."""
    if cell not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(CELLS)}, not {cell!r}")
    return CELLS[cell](*sizes, batch_first=True, **options)


def run_layers(layers: nn.Module, x: Tensor, state: Any) -> tuple[Events, Any]:
    """``(events, state)``: of an EGRU the events of every layer, else the last layer's states."""
    if isinstance(layers, EGRU):
        return layers.run_layers(x, state)
    y, state = layers(x, state)
    return (y,), state


class Network(nn.Module):
    """Recurrent layers, then a linear map of the last layer's events: of their mean over the
    steps of a sequence, or step by step.

    Args:
        input_size: features per step, or symbols, C.
        hidden_size: units per layer, H.
        outputs: classes or regression targets, K.
        num_layers: stacked layers.
        cell: "egru", or "gru" or "lstm", which are torch.nn's, to compare with.
        readout: name of a read-out kind in :mod:`golden.readouts`, such as "mean" or "steps".
        options: further options of the cell, except ``batch_first`` (always on) and ``trace``.

    The layers are the attribute named as the cell; an integer twin has only ``egru``.
    """

    egru: EGRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        outputs: int,
        num_layers: int = 1,
        cell: Cell = "egru",
        readout: str = "mean",
        **options: Any,
    ):
        super().__init__()
        self.readout_kind = readout_kind(readout)
        # What it takes to build this network again, device and dtype aside.
        self.config = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "outputs": outputs,
            "num_layers": num_layers,
            "cell": cell,
            "readout": readout,
        } | {name: value for name, value in options.items() if name not in ("device", "dtype")}
        self.add_module(cell, make_layers(cell, input_size, hidden_size, num_layers, **options))
        self.readout = nn.Linear(
            hidden_size, outputs, device=options.get("device"), dtype=options.get("dtype")
        )

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        """Logits of sequences (N, T, C), or of symbols (N, T): (N, K), or (N, T, K)."""
        return self.run(x, state)[0]

    def run(self, x: Tensor, state: Any = None) -> tuple[Tensor, Events, Any]:
        """``(logits, events, state)``: also each EGRU layer's events (N, T, H), of other cells
        the last layer's outputs, and the last state."""
        layers = getattr(self, self.config["cell"])
        events, state = run_layers(layers, self.values(x), state)
        return self.readout(self.readout_kind.pool(events[-1])), events, state

    def values(self, x: Tensor) -> Tensor:
        """What the layers read (N, T, C): symbols (N, T) one-hot."""
        if x.is_floating_point():
            return x
        return F.one_hot(x, self.config["input_size"]).to(self.readout.weight.dtype)


def detach(state: Any) -> Any:
    """The state of any cell, without the gradients that lead back from it."""
    if isinstance(state, torch.Tensor):
        return state.detach()
    return tuple(map(detach, state))
