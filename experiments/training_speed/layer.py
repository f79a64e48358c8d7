"""An EGRU layer of a given activity, and the work that its events cause."""

import torch
from torch import Tensor

from golden import core
from golden.cells.event_gru import EGRU, State


def layer_with_activity(size: int, x: Tensor, activity: float) -> EGRU:
    """An EGRU of ``size`` units that has the given activity on ``x`` (T, N, C).

    Its thresholds are set by bisection, and its biases where thresholds of 0 do not suffice.
    """
    torch.manual_seed(0)
    egru = EGRU(x.shape[2], size, backend="core")
    egru.store_transposed()
    low, high = -3.0, 1.0
    with torch.no_grad():
        weight_ih, _, bias_ih, _, threshold = egru.layer_parameters(0)
        weight_ih.mul_(3)
        for _ in range(14):
            level = (low + high) / 2
            threshold.fill_(max(level, 0.0))
            bias_ih[2 * size :] = -4 * min(level, 0.0)
            found = (egru(x)[0] != 0).double().mean().item()
            low, high = (level, high) if found > activity else (low, level)
    return egru


def set_window(egru: EGRU, x: Tensor, state: State, share: float) -> Tensor:
    """Set the surrogate's width so that the given share of units and steps is near.

    Returns:
        (T, N, H), whether a unit has an event or is inside the window.
    """
    s = _potentials(egru, x, state) - egru.layer_parameters(0)[4].detach()
    distance = torch.where(s > 0, 0, s.abs()).flatten()
    if share == 1:
        egru.surrogate_width = 2.0
    else:
        nearest = distance.sort()[0][int(share * (len(distance) - 1))].item()
        egru.surrogate_width = max(nearest, 1e-6)
    return (s > 0) | (s.abs() < egru.surrogate_width)


def _potentials(egru: EGRU, x: Tensor, state: State) -> Tensor:
    """c of every unit and step, (T, N, H)."""
    y, h = state
    constants = (None, None, 0.0, 0.7, 1.0, True)
    with torch.no_grad():
        return core.layer(x, *egru.layer_parameters(0), y[0], h[0], *constants)[2][:, :, 4]


def multiply_accumulates(
    egru: EGRU, x: Tensor, state: State, near: Tensor, train: bool
) -> dict[str, list[int]]:
    """By product: done, needed by the exact rules, dense."""
    with core.count_macs() as macs:
        with torch.set_grad_enabled(train):
            y, last = egru(x, state)
        if train:
            torch.autograd.backward([y, last[1]], [torch.randn_like(y), torch.randn_like(last[1])])
    rows, columns = x.shape[0] * x.shape[1], 3 * egru.hidden_size
    later, size = rows - x.shape[1], egru.hidden_size
    before = y[:-1].count_nonzero().item() + state[0].count_nonzero().item()
    needed = {
        "W x": (x.count_nonzero().item(), rows * x.shape[2]),
        "R y": (before, rows * size),
    }
    if train:
        needed |= {
            "dW": needed["W x"],
            "dR": needed["R y"],
            "Rt dq": (near[:-1].count_nonzero().item(), later * size),
        }
    return {n: [macs[n], columns * few, columns * all_] for n, (few, all_) in needed.items()}


def rows_read(egru: EGRU, x: Tensor, state: State) -> tuple[int, int]:
    """Rows of W that any input needs, and of R that any sequence needs, summed over the steps."""
    with torch.no_grad():
        y = egru(x, state)[0]
    before = torch.cat([state[0], y[:-1]])
    return int((x != 0).any(0).any(0).sum()), int((before != 0).any(1).sum())
