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
from egru_hw.contract.config import PRESETS
from golden import output
from sim.random_models import random_case

BUILD = Path("build/sim")
SEQUENCES = 48


def report() -> Path:
    """The report on the present sources: numbers of others must not be added to it."""
    folders = ("egru_hw", "golden/integer", "sim")
    patterns = ("*.py", "*.cpp")
    sources = sorted(p for folder in folders for end in patterns for p in Path(folder).rglob(end))
    content = b"".join(path.read_bytes() for path in [*sources, Path(__file__)])
    return BUILD / f"soak-{hashlib.sha256(content).hexdigest()[:12]}.json"


def run_case(number: int) -> sim.Simulation:
    """Case ``number``; the presets take turns, so that each is compiled once."""
    rng = np.random.default_rng(number)
    name = sorted(PRESETS)[number % len(PRESETS)]
    model, inputs = random_case(rng, PRESETS[name], SEQUENCES)
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
