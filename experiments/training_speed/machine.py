"""The processor: its name, its caches and their speed, and what they allow at best."""

import platform
import re
import time
from pathlib import Path

import torch

from experiments.training_speed.race import race
from golden import core

SECOND_LEVEL_SIZE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")  # as in "512K"


def processor() -> str:
    """Its name in the system."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else platform.machine()


def second_level() -> int:
    """Bytes of a processor core's second-level cache; the cost model's value if unknown."""
    try:
        return int(SECOND_LEVEL_SIZE.read_text().strip().removesuffix("K")) << 10
    except (OSError, ValueError):
        return core.policy.SECOND_LEVEL


def bandwidths() -> dict[str, float]:
    """GB/s that one core reads from 16 KB, 3/8 of its second-level cache, and 24 MB."""
    found = {}
    for name, size in (("L1", 16 << 10), ("L2", second_level() * 3 // 8), ("L3", 24 << 20)):
        data = torch.zeros(size // 4)
        times = max(1, (1 << 28) // size)
        kernels = core.kernels_for(data)
        kernels.read(data.data_ptr(), len(data), 1)
        seconds = []
        for _ in range(5):
            begin = time.thread_time()
            kernels.read(data.data_ptr(), len(data), times)
            seconds.append(time.thread_time() - begin)
        found[name] = times * size / min(seconds) / 1e9
    return found


def dense_speed() -> float:
    """GFLOP/s of torch.mm for one step of 64 sequences and 1,350 units, on all threads."""
    left, right = torch.randn(64, 1350), torch.randn(1350, 4050)
    seconds = race({"mm": lambda: torch.mm(left, right)})["mm"]
    return left.numel() * 4050 * 2 / seconds / 1e9


def bound(
    size: int,
    inputs: int,
    macs: dict[str, list[int]],
    rows: tuple[int, int],
    speed: dict[str, float],
) -> float:
    """Fewest seconds that an event-driven forward pass can take.

    It reads a weight for every multiply-accumulate, at best from the first-level cache. If the
    weights exceed the second-level cache, it also reads every row of W once, and rows of R in
    every step, from behind that cache.

    Args:
        size, inputs: H and C.
        macs: see :func:`experiments.training_speed.layer.multiply_accumulates`.
        rows: of W and R, see :func:`experiments.training_speed.layer.rows_read`.
        speed: GB/s, see :func:`bandwidths`.
    """
    threads = torch.get_num_threads()
    far = 12 * size * (inputs + size) / threads > second_level()
    seconds = 0.0
    for name, count in zip(("W x", "R y"), rows, strict=True):
        near, behind = 4 * macs[name][1] / speed["L1"], 12 * size * count / speed["L3"]
        seconds += max(near, behind) if far else near
    return seconds / 1e9 / threads
