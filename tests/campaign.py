"""Faults by the thousand on the line of a virtual board, and hosts that are killed.

``make campaign FAULTS=100000``. Each session loads random models and runs them over random inputs,
while faults of one kind strike the line. It must end with the integer model's results or with one
sentence, in bounded time. The report in build/campaign records how far this has come, and the same
command continues it.
"""

import argparse
import json
import multiprocessing
import os
import signal
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
FORK = multiprocessing.get_context("fork")  # starts a host in no time
RATES = {
    "flip": 4e-3,
    "drop": 4e-3,
    "duplicate": 4e-3,
    "delay": 4e-3,
    "silence": 4e-3,
    "unplug": 5e-4,
    "reset": 5e-4,
}
"""Highest probability of a fault per byte. Each board has its own, down to a fifth of it."""

KILL = "kill"
"""Not a fault of the line: the host's end by SIGKILL at a random moment."""

TIMEOUT = 5.0  # seconds that a device may be silent
TIMEOUT_OF_RESET = 0.3  # here each session waits for it
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
    rate = RATES[kind] * rng.uniform(0.2, 1)
    timeout = TIMEOUT_OF_RESET if kind == "reset" else TIMEOUT
    with VirtualBoard(CONFIG, faults={kind: rate}, seed=seed) as board:
        begin = time.monotonic()
        while time.monotonic() - begin < CHUNK and totals["sessions"] * 4 < wanted:
            while not os.path.exists(board.link):  # unplugged
                time.sleep(0.001)
            totals["sessions"] += 1
            start = time.monotonic()
            try:
                with egru_hw.connect(board.link, timeout=timeout) as device:
                    found = [session(device, rng) for _ in range(rng.integers(1, 6))]
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
    while True:
        with egru_hw.connect(port) as device:
            session(device, rng)


def kills(seed: int, wanted: int) -> dict[str, int]:
    """Hosts that are killed on one board, each followed by a session that must be right."""
    rng = np.random.default_rng(seed)
    totals = dict(ZERO)
    with VirtualBoard(CONFIG, seed=seed) as board:
        begin = time.monotonic()
        while time.monotonic() - begin < CHUNK and totals["faults"] < wanted:
            process = FORK.Process(target=host, args=(board.port, seed + totals["faults"]))
            process.start()
            # From the middle of the greeting to the middle of a long run.
            time.sleep(10 ** rng.uniform(-3, 0))
            process.kill()
            process.join()
            totals["faults"] += process.exitcode == -signal.SIGKILL
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
    parser.add_argument("--boards", type=int, default=4, help="how many run at once")
    arguments = parser.parse_args()
    wanted = dict.fromkeys(FAULTS, arguments.faults) | {KILL: arguments.kills}
    report = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    report = {kind: report.get(kind, dict(ZERO)) for kind in wanted}
    seed = sum(totals["sessions"] for totals in report.values())
    print(f"seed {seed}")
    with ProcessPoolExecutor(arguments.boards) as pool:
        chunks: dict[Future, str] = {}
        turns = dict.fromkeys(wanted, 0)
        while True:
            while len(chunks) < arguments.boards:
                unfinished = [kind for kind in wanted if report[kind]["faults"] < wanted[kind]]
                if not unfinished:
                    break
                kind = min(unfinished, key=turns.__getitem__)
                turns[kind] += 1
                seed += 1
                left = wanted[kind] - report[kind]["faults"]
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
