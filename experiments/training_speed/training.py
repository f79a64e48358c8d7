"""Memory and time of whole trainings."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import cast

import torch

from experiments.training_speed.cases import Shape
from experiments.training_speed.race import FEWEST_ROUNDS
from golden.model_file import load
from golden.network.network import Network
from golden.tasks import TASKS
from golden.training import Files, train

MEMORY = """
import re, sys, torch
from torch import nn
from golden.cells.event_gru import EGRU
steps, count, inputs, size = map(int, sys.argv[2].split(","))
network = EGRU if sys.argv[1] == "core" else nn.GRU
network(4, 4)(torch.ones(1, 1, 4))[0].sum().backward()  # loads whatever is loaded on first use
module = network(inputs, size)
if network is EGRU:
    module.store_transposed()
x = torch.rand(steps, count, inputs) * (torch.rand(steps, count, inputs) < 0.1)
def peak():  # not getrusage's, which includes the process before its exec
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
for _ in range(2):
    y, last = module(x)
    (y.square().sum() + last[-1].sum()).backward()
    del y, last
print(peak() - before)
"""


def peak_memory(name: str, shape: Shape) -> int:
    """Bytes that a training with "core" or "gru" adds to the peak of a fresh process."""
    command = [sys.executable, "-c", MEMORY, name, ",".join(map(str, shape))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds_per_epoch() -> dict[str, float]:
    """Of the shipped MNIST-1D model's training, by backend, on one thread.

    Medians of alternating runs, which start from the trained model.
    """
    threads, model = torch.get_num_threads(), load("mnist1d")
    torch.set_num_threads(1)
    recipe = replace(TASKS["mnist1d"].recipe, epochs=2, start_activity=0.108)
    seconds: dict[str, list[float]] = {"core": [], "torch": []}
    with TemporaryDirectory() as folder:
        for _ in range(FEWEST_ROUNDS):
            for backend, found in seconds.items():
                network = cast(Network, model.network())
                network.egru.backend = backend
                files = Files(Path(folder) / "model")
                _, history = train(TASKS["mnist1d"], recipe, files, network=network)
                found.append(history[-1].seconds)
    torch.set_num_threads(threads)
    return {backend: median(found) for backend, found in seconds.items()}
