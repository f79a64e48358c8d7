"""The contestants, and how they are timed."""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from golden import core
from golden.cells.event_gru import EGRU, State

CONTESTANTS = ["core", "core, dense", "PyTorch operations", "torch.nn.GRU"]
ROUNDS, FEWEST_ROUNDS = 9, 2
PATIENCE = 8.0  # seconds, after which a case gets no more than the fewest rounds
TURN = 0.02  # seconds that a contestant is repeated for, at least once

Functions = dict[str, Callable[[], object]]


def contestants(egru: EGRU, x: Tensor, state: State, train: bool) -> Functions:
    """Functions that run once, by name."""
    torch_egru, gru = EGRU(egru.input_size, egru.hidden_size, backend="torch"), egru.to_gru()
    torch_egru.load_state_dict(egru.state_dict())
    torch_egru.surrogate_width = egru.surrogate_width
    dy = torch.randn(*x.shape[:2], egru.hidden_size)
    dh = torch.randn(1, x.shape[1], egru.hidden_size)

    def run(module: nn.Module) -> None:
        with torch.set_grad_enabled(train):
            y, last = module(x, state[1] if isinstance(module, nn.GRU) else state)
        if train:
            module.zero_grad()
            h = last[1] if isinstance(last, tuple) else last
            torch.autograd.backward([y, h], [dy, dh])

    def run_dense() -> None:
        with core.policy.forced("dense"):
            run(egru)

    runs = (lambda: run(egru), run_dense, lambda: run(torch_egru), lambda: run(gru))
    return dict(zip(CONTESTANTS, runs, strict=True))


def race(functions: Functions) -> dict[str, float]:
    """Median seconds of each.

    They take turns. Each first runs for a while without being timed, to fill its caches and to
    get its memory from the system.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    start = time.perf_counter()
    for turn in range(ROUNDS):
        for name, function in functions.items():
            begin, calls = time.perf_counter(), 0
            while calls == 0 or time.perf_counter() - begin < TURN:
                function()
                calls += 1
            repeats = max(1, int(calls * TURN / (time.perf_counter() - begin)))
            begin = time.perf_counter()
            for _ in range(repeats):
                function()
            times[name].append((time.perf_counter() - begin) / repeats)
        if turn + 1 >= FEWEST_ROUNDS and time.perf_counter() - start > PATIENCE:
            break
    return {name: median(values) for name, values in times.items()}
