"""Timing a step on this processor."""

import numpy as np
import torch

from golden import Network, stepping


def test_each_step_is_a_call_of_its_own_from_the_state_of_the_last(monkeypatch):
    torch.manual_seed(1)
    network = Network(3, 6, 2, num_layers=2)
    inputs = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
    x = torch.from_numpy(inputs)[None]
    expected = [layers(x)[0] for layers in (network.egru.to_gru(), network.egru)]
    seen = []
    monkeypatch.setattr(stepping, "SECONDS", 0)
    clock = iter(range(1 << 20))
    monkeypatch.setattr(stepping.time, "perf_counter", lambda: next(clock) ** 2)
    monkeypatch.setattr(
        stepping, "_median", lambda layers, steps, own=stepping._median: own(
            lambda step, state: _noted(seen, layers(step, state)), steps
        ),
    )  # fmt: skip
    threads = torch.get_num_threads()
    found = stepping.step_seconds(network, inputs)
    assert torch.get_num_threads() == threads
    for steps, whole in zip((seen[:14], seen[14:]), expected, strict=True):
        for again in (steps[:7], steps[7:]):  # from rest again
            assert torch.allclose(torch.cat(again, 1), whole, atol=1e-6)
    # The clock goes on by 4n + 1 in the nth step; those of the first seven do not count.
    assert list(found.values()) == [4 * 10 + 1, 4 * 24 + 1]


def _noted(seen: list, result):
    seen.append(result[0])
    return result
