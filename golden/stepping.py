"""How long a step takes on this processor, one sequence at a time."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden.network.network import Network

SECONDS = 0.5  # of timing each of them, after as many steps as a sequence has


def step_seconds(network: Network, inputs: np.ndarray) -> dict[str, float]:
    """Median seconds of a step at batch 1, each in a call of its own, on one thread.

    Args:
        network: of an EGRU; its layers alone are timed.
        inputs: (T, C), over and over again, each time from rest.

    Returns:
        ``"torch.nn.GRU"``, of the same size and weights, and ``"golden.EGRU"``.
    """
    egru, gru = network.egru.eval(), network.egru.to_gru().eval()
    egru.store_transposed()
    steps = torch.from_numpy(np.asarray(inputs, np.float32))[:, None, None]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return {"torch.nn.GRU": _median(gru, steps), "golden.EGRU": _median(egru, steps)}
    finally:
        torch.set_num_threads(threads)


def _median(layers: Callable[..., Any], steps: Tensor) -> float:
    """Of the steps after the first sequence, which fills caches."""
    times: list[float] = []
    while len(times) < 2 * len(steps) or sum(times) < SECONDS:
        state = None
        for step in steps:
            begin = time.perf_counter()
            _, state = layers(step, state)
            times.append(time.perf_counter() - begin)
    return median(times[len(steps) :])
