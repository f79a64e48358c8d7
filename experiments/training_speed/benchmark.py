"""All measurements of ``egru bench``, and the files that they are written to."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from experiments.commit import commit
from experiments.training_speed.cases import ACTIVITIES, INPUTS, WINDOWS, Case, Shape, cases
from experiments.training_speed.machine import bandwidths, dense_speed, processor, second_level
from experiments.training_speed.plot import plot
from experiments.training_speed.tables import markdown, megabytes, terminal
from experiments.training_speed.training import peak_memory, seconds_per_epoch
from golden import core, output

OUT = Path("build/bench-train")


def benchmark(shapes: Sequence[Shape], console: Console) -> None:
    """Time all contestants on ``shapes``, on torch's current number of threads.

    Writes bench.json, bench.md (the tables of docs/performance.md) and bench.png to OUT.
    """
    output.check(*(OUT / f"bench.{suffix}" for suffix in ("json", "md", "png")))
    speed, extension = bandwidths(), core.vector_extensions()[0]
    console.print(f"{processor()}, {extension}, {second_level() >> 10} KB of second-level "
                  f"cache; one core reads, GB/s: {speed}")  # fmt: skip
    console.print(f"torch.mm of a step's 64 sequences: {dense_speed():.0f} GFLOP/s on "
                  f"{torch.get_num_threads()} threads")  # fmt: skip
    results = _time(shapes, speed, console)
    memory = {shape: {n: peak_memory(n, shape) for n in ("core", "gru")} for shape in shapes}
    for shape, found in memory.items():
        ours, gru, states = megabytes(shape, found)
        console.print(f"peak memory of training {shape}: core {ours}, torch.nn.GRU {gru}, "
                      f"one state per unit and step {states}")  # fmt: skip
    epoch = seconds_per_epoch()
    console.print(f"an epoch of mnist1d: core {epoch['core']:.2f} s, PyTorch operations "
                  f"{epoch['torch']:.2f} s")  # fmt: skip
    facts = {
        "commit": commit(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "processor": processor(), "second_level": second_level(),
        "vector_extension": extension, "threads": torch.get_num_threads(), "bandwidth": speed,
        "memory": {str(shape): found for shape, found in memory.items()}, "epoch": epoch,
        "results": [asdict(case) for case in results],
    }  # fmt: skip
    output.write(OUT / "bench.json", json.dumps(facts, indent=1) + "\n")
    output.write(OUT / "bench.md", markdown(results, memory))
    plot(results, OUT / "bench.png")
    console.print(f"wrote bench.json, bench.md and bench.png to {OUT}")


def _time(shapes: Sequence[Shape], speed: dict[str, float], console: Console) -> list[Case]:
    results = []
    # A thread that refreshes the bar would disturb the measurements.
    with Progress(console=console, auto_refresh=False) as progress:
        total = len(shapes) * len(INPUTS) * len(ACTIVITIES) * len(WINDOWS)
        bar = progress.add_task("timing", total=total)
        for shape in shapes:
            for kind in INPUTS:
                found = []
                for case in cases(shape, kind, speed):
                    found.append(case)
                    progress.advance(bar)
                    progress.refresh()
                console.print(terminal(found))
                results += found
    return results
