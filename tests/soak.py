"""A long comparison of the Verilog with the integer model: random models, sizes, inputs and stalls.

``make soak VALUES=1000000000``. A case is determined by its number. A report in build/sim records
how far the comparison of these sources has come, and the same command continues it.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np

import sim
from egru_hw.contract.config import PRESETS, Config
from egru_hw.contract.image import build_image
from golden import output
from golden.integer import IntegerEGRU
from tests.helpers.models import random_inputs, random_model

BUILD = Path("build/sim")
SEQUENCES = 48
DRIVES = ("mixed", "mixed", "firing", "saturating", "silent")


def report() -> Path:
    """The report on the present sources: numbers of others must not be added to it."""
    folders = ("egru_hw", "golden/integer", "sim", "tests/helpers")
    patterns = ("*.py", "*.cpp")
    sources = sorted(p for folder in folders for end in patterns for p in Path(folder).rglob(end))
    content = b"".join(path.read_bytes() for path in [*sources, Path(__file__)])
    return BUILD / f"soak-{hashlib.sha256(content).hexdigest()[:12]}.json"


def model_for(config: Config, rng: np.random.Generator) -> IntegerEGRU:
    """A random model that fits ``config``."""
    while True:
        layers = int(rng.integers(1, config.max_layers + 1))
        sizes = tuple(int(rng.integers(1, config.max_units // layers + 1)) for _ in range(layers))
        model = random_model(
            rng,
            int(rng.integers(1, config.max_inputs + 1)),
            sizes,
            outputs=int(rng.integers(1, config.max_outputs + 1)),
            weight_bits=int(rng.integers(2, config.weight_bits + 1)),
            density=float(rng.uniform(0.1, 1)),
            drive=str(rng.choice(DRIVES)),
        )
        try:
            build_image(model, config)
        except ValueError:
            continue  # too many rows of weights
        return model


def run_case(number: int) -> sim.Simulation:
    """Case ``number``; the presets take turns, so that each is compiled once."""
    rng = np.random.default_rng(number)
    name = sorted(PRESETS)[number % len(PRESETS)]
    model = model_for(PRESETS[name], rng)
    steps = int(rng.integers(1, 40))
    inputs = random_inputs(rng, SEQUENCES, steps, model.input_size, density=rng.uniform(0, 0.5))
    stall = float(rng.choice([0.0, rng.uniform(0, 0.7)]))
    return sim.run(model, inputs, config=name, stall=stall, seed=number, build=BUILD)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("values", type=int, help="values to compare in all")
    target = parser.parse_args().values
    totals = {"cases": 0, "values": 0, "mismatches": 0, "cycles": 0, "seconds": 0.0}
    place = report()
    if place.exists():
        try:
            totals |= json.loads(place.read_text())
        except ValueError:
            print(f"{place} is damaged: delete it to start over", file=sys.stderr)
            return 2
    while totals["values"] < target and not totals["mismatches"]:
        start = time.monotonic()
        simulation = run_case(totals["cases"])
        totals["cases"] += 1
        totals["values"] += simulation.comparison.compared
        totals["mismatches"] += simulation.comparison.mismatches
        totals["cycles"] += simulation.cycles
        totals["seconds"] += time.monotonic() - start
        output.write(place, json.dumps(totals, indent=2) + "\n")
        print(
            f"\r{totals['cases']} cases, {totals['values']:,} of {target:,} values, "
            f"{totals['mismatches']} differ",
            end="",
            flush=True,
        )
        if first := simulation.comparison.first:
            print(f"\nmismatch in case {totals['cases'] - 1}: first {first}")
    print(f"\n{totals['mismatches']} of {totals['values']:,} values differ: {place}")
    return min(1, totals["mismatches"])


if __name__ == "__main__":
    sys.exit(main())
