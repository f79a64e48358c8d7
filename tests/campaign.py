"""Faults by the thousand on the line of a virtual board, and hosts that are killed.

``make campaign FAULTS=100000``. Each session loads random models and runs them over random inputs,
while faults of one kind strike the line. It must end with the integer model's results or with one
sentence, in bounded time. The report in build/campaign records how far this has come, and the same
command continues it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

import numpy as np

import egru_hw
from egru_hw.contract.config import preset
from egru_hw.host.transport import TransportError
from golden import output
from sim import compare
from sim.random_models import random_case
from sim.virtual_board import FAULTS, VirtualBoard

REPORT = Path("build/campaign/report.json")
CONFIG = preset("tiny")
RATES = {
    "flip": 1e-3,
    "drop": 1e-3,
    "duplicate": 1e-3,
    "delay": 2e-3,
    "silence": 2e-3,
    "unplug": 5e-4,
    "reset": 2e-4,
}
KILL = "kill"
"""Not a fault of the line: the host's end by SIGKILL at a random moment."""

TIMEOUT = 2.0  # seconds that a device may be silent
LONGEST = 60.0  # seconds that a session may take
CHUNK = 30.0  # seconds on one board
SEQUENCES = 3
ZERO = {"faults": 0, "sessions": 0, "right": 0, "errors": 0, "wrong": 0, "hung": 0, "values": 0}


def session(device, rng: np.random.Generator) -> tuple[int, int]:
    """How many values were compared, and how many differ."""
    model, inputs = random_case(rng, CONFIG, SEQUENCES)
    device.load(model)
    comparison = compare(model.run(inputs), device.run(inputs))
    return comparison.compared, comparison.mismatches


def sessions(kind: str, seed: int, wanted: int) -> dict[str, int]:
    """Sessions on one board, until there were ``wanted`` faults or the time of a chunk is over."""
    rng = np.random.default_rng(seed)
    totals = dict(ZERO)
    with VirtualBoard(CONFIG, faults={kind: RATES[kind]}, seed=seed) as board:
        begin = time.monotonic()
        while time.monotonic() - begin < CHUNK and totals["sessions"] * 4 < wanted:
            while not os.path.exists(board.link):  # unplugged
                time.sleep(0.001)
            totals["sessions"] += 1
            start = time.monotonic()
            try:
                with egru_hw.connect(board.link, timeout=TIMEOUT) as device:
                    found = [session(device, rng) for _ in range(10)]
                wrong = any(mismatches for _, mismatches in found)
                totals["values"] += sum(compared for compared, _ in found)
                totals["wrong"] += wrong
                totals["right"] += not wrong
            except TransportError:
                totals["errors"] += 1
            totals["hung"] += time.monotonic() - start > LONGEST
        totals["faults"] = board.close().faults[kind]
    return totals


def host(port: str, seed: int) -> None:
    """Sessions until the process is killed."""
    rng = np.random.default_rng(seed)
    print("begun", flush=True)
    while True:
        with egru_hw.connect(port) as device:
            print("connected", flush=True)
            session(device, rng)


def kills(seed: int, wanted: int) -> dict[str, int]:
    """Hosts that are killed on one board, each followed by a session that must be right."""
    rng = np.random.default_rng(seed)
    totals = dict(ZERO)
    with VirtualBoard(CONFIG, seed=seed) as board:
        begin = time.monotonic()
        while time.monotonic() - begin < CHUNK and totals["faults"] < wanted:
            command = [sys.executable, "-m", "tests.campaign", "--host", board.port, str(seed)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                assert process.stdout
                process.stdout.readline()
                # From the middle of the greeting to the middle of a long run.
                time.sleep(10 ** rng.uniform(-3, 0))
                process.kill()
            totals["faults"] += 1
            totals["sessions"] += 1
            try:
                with egru_hw.connect(board.port, timeout=TIMEOUT) as device:
                    compared, mismatches = session(device, rng)
                totals["values"] += compared
                totals["wrong"] += mismatches > 0
                totals["right"] += not mismatches
            except TransportError as error:
                print(f"\nafter a kill: {error}")
                totals["errors"] += 1
    return totals


def chunk(kind: str, seed: int, wanted: int) -> dict[str, int]:
    """What happened in a chunk of time, of at most ``wanted`` faults."""
    return kills(seed, wanted) if kind == KILL else sessions(kind, seed, wanted)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", type=int, nargs="?", help="faults of each kind in all")
    parser.add_argument("--kills", type=int, default=1000, help="hosts to kill in all")
    parser.add_argument("--host", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.host:
        host(arguments.host[0], int(arguments.host[1]))
    wanted = dict.fromkeys(FAULTS, arguments.faults) | {KILL: arguments.kills}
    report = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    report = {kind: report.get(kind, dict(ZERO)) for kind in wanted}
    seed = sum(totals["sessions"] for totals in report.values())
    print(f"seed {seed}")
    # Side by side, as most of them wait most of the time.
    with ProcessPoolExecutor(len(wanted)) as pool:
        chunks: dict[Future, str] = {}
        while True:
            for kind in report.keys() - chunks.values():
                if (left := wanted[kind] - report[kind]["faults"]) > 0:
                    seed += 1
                    chunks[pool.submit(chunk, kind, seed, left)] = kind
            if not chunks:
                break
            done, _ = wait(chunks, return_when=FIRST_COMPLETED)
            for future in done:
                kind = chunks.pop(future)
                for name, count in future.result().items():
                    report[kind][name] += count
            output.write(REPORT, json.dumps(report, indent=2) + "\n")
            print("\r" + ", ".join(f"{k} {t['faults']:,}" for k, t in report.items()), end="")
            sys.stdout.flush()
    bad = sum(totals["wrong"] + totals["hung"] for totals in report.values())
    bad += report[KILL]["errors"]
    print(f"\n{bad} sessions went wrong: {REPORT}")
    return min(1, bad)


if __name__ == "__main__":
    sys.exit(main())
