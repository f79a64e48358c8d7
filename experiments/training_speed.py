"""Times the core against dense networks.

One process, all contestants in turn, medians. Writes bench.json, bench.md (the table of
docs/performance.md) and bench.png to build/bench-train/.
"""

import json
import platform
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, cast

import matplotlib
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from golden import core
from golden.cells.event_gru import EGRU, State
from golden.model_file import load
from golden.network.network import Network
from golden.tasks import TASKS
from golden.training import Files, train

Shape = tuple[int, int, int, int]

SHAPES: list[Shape] = [
    (70, 64, 750, 1350), (70, 64, 1350, 1350), (100, 32, 64, 512), (100, 1, 64, 256),
    (1, 1, 750, 1350),
]  # fmt: skip
ACTIVITIES = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02]
WINDOWS = [0.4, 1.0]  # share of units with an event or inside the surrogate's window
CONTESTANTS = ["core", "core, dense", "PyTorch operations", "torch.nn.GRU"]
ROUNDS, FEWEST_ROUNDS = 9, 2
PATIENCE = 8.0  # seconds, after which a case gets no more rounds than the fewest
TURN = 0.02  # seconds, at most, for which a contestant is repeated
WARM_UP = 8  # steps before a single one that is timed, so that it starts from events
OUT = Path("build/bench-train")
SHIPPED = Path(__file__).parents[1] / "golden" / "models" / "mnist1d.safetensors"
SECOND_LEVEL_SIZE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")  # as in "512K"


def network(shape, x: Tensor, activity: float) -> EGRU:
    """An EGRU whose thresholds, or biases where these end at 0, give the activity on ``x``."""
    *_, inputs, size = shape
    torch.manual_seed(0)
    egru = EGRU(inputs, size, backend="core")
    low, high = -3.0, 1.0
    with torch.no_grad():
        weight_ih, _, bias_ih, _, threshold = egru.layer_parameters(0)
        weight_ih.mul_(3)
        for _ in range(14):
            level = (low + high) / 2
            threshold.fill_(max(level, 0.0))
            bias_ih[2 * size :] = -4 * min(level, 0.0)
            found = (egru(x)[0] != 0).double().mean().item()
            low, high = (level, high) if found > activity else (low, level)
    return egru


def states(egru: EGRU, x: Tensor, state: State) -> Tensor:
    """c of every unit and step, (T, N, H)."""
    y, h = state
    constants = (None, None, 0.0, 0.7, 1.0, True)
    with torch.no_grad():
        return core.layer(x, *egru.layer_parameters(0), y[0], h[0], *constants)[2][:, :, 4]


def set_window(egru: EGRU, x: Tensor, state: State, share: float) -> Tensor:
    """Chooses the surrogate's width so that a share of the units is near; returns which."""
    s = states(egru, x, state) - egru.layer_parameters(0)[4].detach()
    distance = torch.where(s > 0, 0, s.abs()).flatten()
    if share == 1:
        egru.surrogate_width = 2.0
    else:
        nearest = distance.sort()[0][int(share * (len(distance) - 1))].item()
        egru.surrogate_width = max(nearest, 1e-6)
    return (s > 0) | (s.abs() < egru.surrogate_width)


def multiply_accumulates(
    egru: EGRU, x: Tensor, state: State, near: Tensor, train: bool
) -> dict[str, list[int]]:
    """Per product: done, needed by the exact rules, dense."""
    with core.count_macs() as macs:
        with torch.set_grad_enabled(train):
            y, last = egru(x, state)
        if train:
            torch.autograd.backward([y, last[1]], [torch.randn_like(y), torch.randn_like(last[1])])
    rows, columns = x.shape[0] * x.shape[1], 3 * egru.hidden_size
    later, size = rows - x.shape[1], egru.hidden_size
    before = y[:-1].count_nonzero().item() + state[0].count_nonzero().item()
    needed = {
        "W x": (x.count_nonzero().item(), rows * x.shape[2]),
        "R y": (before, rows * size),
    }
    if train:
        needed |= {
            "dW": needed["W x"],
            "dR": needed["R y"],
            "Rt dq": (near[:-1].count_nonzero().item(), later * size),
        }
    return {n: [macs[n], columns * few, columns * all_] for n, (few, all_) in needed.items()}


def contestants(egru: EGRU, x: Tensor, state: State, train: bool) -> dict:
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


def race(functions: dict) -> dict[str, float]:
    """Median seconds of each. They run in turn; in its turn each is first called for a while, for
    its caches and for memory from the system, and then timed."""
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


def processor() -> str:
    """What the system calls it."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else platform.machine()


def second_level() -> int:
    """Bytes of a core's second-level cache; that of the cost model if it is unknown."""
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


def rows_read(egru: EGRU, x: Tensor, state: State) -> tuple[int, int]:
    """Rows of W that any input needs, and of R that any sequence needs, summed over the steps."""
    with torch.no_grad():
        y = egru(x, state)[0]
    before = torch.cat([state[0], y[:-1]])
    return int((x != 0).any(0).any(0).sum()), int((before != 0).any(1).sum())


def bound(
    size: int,
    inputs: int,
    macs: dict[str, list[int]],
    rows: tuple[int, int],
    speed: dict[str, float],
) -> float:
    """Seconds below which no event-driven forward pass gets: it reads a weight for every
    multiply-accumulate, at best from the first-level cache; and from behind the second, where
    the weights are too many for it, every row of W once and those of R in every step."""
    threads = torch.get_num_threads()
    far = 12 * size * (inputs + size) / threads > second_level()
    seconds = 0.0
    for name, count in zip(("W x", "R y"), rows, strict=True):
        near, behind = 4 * macs[name][1] / speed["L1"], 12 * size * count / speed["L3"]
        seconds += max(near, behind) if far else near
    return seconds / 1e9 / threads


MEMORY = """
import re, sys, torch
from torch import nn
from golden.cells.event_gru import EGRU
steps, count, inputs, size = map(int, sys.argv[2].split(","))
network = EGRU if sys.argv[1] == "core" else nn.GRU
network(4, 4)(torch.ones(1, 1, 4))[0].sum().backward()  # what else there is to load
module = network(inputs, size)
x = torch.rand(steps, count, inputs) * (torch.rand(steps, count, inputs) < 0.1)
def peak():  # not getrusage's, which counts the process before this one's exec
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
for _ in range(2):
    y, last = module(x)
    (y.square().sum() + last[-1].sum()).backward()
    del y, last
print(peak() - before)
"""


def peak_memory(name: str, shape) -> int:
    """Bytes that training adds to the peak of a fresh process."""
    command = [sys.executable, "-c", MEMORY, name, ",".join(map(str, shape))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def default_training() -> dict[str, float]:
    """Seconds that an epoch of the default model's training takes, from the shipped model on, by
    backend: medians of runs in turn, on one thread."""
    threads, model = torch.get_num_threads(), load(SHIPPED)
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


def cases(shapes, speed, console: Console):
    for shape in shapes:
        steps, count, inputs, size = shape
        for kind in ("events", "dense"):
            table = Table(title=f"T, N, C, H = {shape}, {kind} as inputs: milliseconds")
            for column in ("activity", "near", "pass", *CONTESTANTS, "GRU / core", "at most",
                           "done", "needed", "dense"):  # fmt: skip
                table.add_column(column, justify="right")
            for activity in ACTIVITIES:
                torch.manual_seed(1)
                length = steps + (WARM_UP if steps == 1 else 0)
                x = torch.randn(length, count, inputs)
                if kind == "events":
                    x = torch.rand_like(x) * (torch.rand_like(x) < activity)
                egru = network(shape, x, activity)
                state = (x.new_zeros(1, count, egru.hidden_size),) * 2
                if length > steps:
                    with torch.no_grad():
                        state = egru(x[:-steps])[1]
                    x = x[-steps:].contiguous()
                rows = rows_read(egru, x, state)
                for window in (None, *WINDOWS):
                    near = set_window(egru, x, state, window or 1.0)
                    macs = multiply_accumulates(egru, x, state, near, window is not None)
                    functions = contestants(egru, x, state, window is not None)
                    if window == 1:  # the others do not depend on the window
                        functions = {n: functions[n] for n in ("core", "torch.nn.GRU")}
                    seconds = race(functions)
                    case = {
                        "shape": shape, "inputs": kind, "activity": activity, "window": window,
                        "near": near.double().mean().item(), "seconds": seconds, "macs": macs,
                        "bound": None if window else bound(size, inputs, macs, rows, speed),
                    }  # fmt: skip
                    ratio = seconds["torch.nn.GRU"] / seconds["core"]
                    most = f"{seconds['torch.nn.GRU'] / case['bound']:.1f}" if case["bound"] else ""
                    table.add_row(
                        f"{activity:.0%}", f"{case['near']:.0%}" if window else "",
                        "both" if window else "forward",
                        *(f"{1e3 * seconds[n]:.2f}" if n in seconds else "" for n in CONTESTANTS),
                        f"{ratio:.2f}", most,
                        *(f"{sum(m[i] for m in macs.values()):,}" for i in range(3)),
                    )  # fmt: skip
                    yield case
            console.print(table)


def plot(results: list[dict], path: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullLocator

    shapes = list(dict.fromkeys(tuple(case["shape"]) for case in results))
    figure, grid = pyplot.subplots(len(shapes), 2, figsize=(9, 3 * len(shapes)), squeeze=False)
    for axes, shape in zip(grid, shapes, strict=True):
        for ax, window, title in zip(axes, (None, 0.4), ("forward", "both passes"), strict=True):
            chosen = [
                case for case in results if tuple(case["shape"]) == shape
                and case["window"] == window and case["inputs"] == "events"
            ]  # fmt: skip
            activity = [case["activity"] for case in chosen]
            for name in chosen[0]["seconds"]:
                ax.plot(activity, [1e3 * c["seconds"][name] for c in chosen], "o-", label=name)
            full = chosen[0]["seconds"]["core, dense"]
            totals = [[sum(m[i] for m in c["macs"].values()) for i in (1, 2)] for c in chosen]
            ideal = [1e3 * full * needed / max(1, dense) for needed, dense in totals]
            ax.plot(activity, ideal, "k--", label="ideal")
            ax.set(xscale="log", yscale="log", xlabel="activity", ylabel="ms")
            ax.set_xticks(activity, [f"{share:.0%}" for share in activity])
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_minor_locator(NullLocator())
            ax.set_title(f"{', '.join(map(str, shape))}: {title}", fontsize=9)
    grid[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def markdown(results: list[dict], memory: dict) -> str:
    """The table of docs/performance.md."""
    lines = [
        "| T, N, C, H | inputs | activity | near | pass | core | dense | operations | GRU | "
        "GRU / core | at most |",
        "|" + "---|" * 11,
    ]
    for case in results:
        if case["window"] == 1 or case["activity"] not in (1.0, 0.2, 0.1, 0.05):
            continue
        if case["inputs"] == "dense" and case["activity"] != 1.0:
            continue
        seconds, ideal = case["seconds"], case["bound"]
        milliseconds = [1e3 * s for s in seconds.values()]
        times = " | ".join(f"{m:,.0f}" if m >= 100 else f"{m:.3g}" for m in milliseconds)
        near, passes = (f"{case['near']:.0%}", "both") if case["window"] else ("", "forward")
        most = f"{seconds['torch.nn.GRU'] / ideal:.1f}" if ideal else ""
        lines.append(
            f"| {', '.join(map(str, case['shape']))} | {case['inputs']} | {case['activity']:.0%} "
            f"| {near} | {passes} | {times} | "
            f"{seconds['torch.nn.GRU'] / seconds['core']:.1f} | {most} |"
        )
    lines += [
        "",
        "| T, N, C, H | memory, core | memory, torch.nn.GRU | a state per unit and step |",
    ]
    lines.append("|---|---|---|---|")
    for shape, found in memory.items():
        steps, count, _, size = map(int, shape.strip("()").split(","))
        megabytes = (found["core"] / 1e6, found["gru"] / 1e6, 4e-6 * steps * count * size)
        cells = " | ".join(f"{m:.0f} MB" for m in megabytes)
        lines.append(f"| {shape.strip('()')} | {cells} |")
    return "\n".join(lines) + "\n"


app = typer.Typer(add_completion=False)


def parse(text: str) -> Shape:
    """Of "T,N,C,H"."""
    try:
        steps, count, inputs, size = map(int, text.split(","))
        if min(steps, count, inputs, size) > 0:
            return steps, count, inputs, size
    except ValueError:
        pass
    raise typer.BadParameter(f"{text!r} is not T,N,C,H: four whole numbers from 1 up")


@app.command()
def main(
    shapes: Annotated[
        list[str] | None,
        typer.Argument(
            help="T,N,C,H: steps, sequences, inputs, units.",
            show_default=" ".join(",".join(map(str, shape)) for shape in SHAPES),
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Processor threads.", show_default="all cores"),
    ] = None,
) -> None:
    """Time the training core, event by event and dense, PyTorch operations and torch.nn.GRU.

    Writes bench.json, bench.md (the table of docs/performance.md) and bench.png to
    build/bench-train/. All shapes take half an hour on 2 cores.
    """
    if threads:
        torch.set_num_threads(threads)
    chosen = [parse(text) for text in shapes or []] or SHAPES
    console = Console(width=170)
    OUT.mkdir(parents=True, exist_ok=True)  # or fail now
    speed = bandwidths()
    extension = core.vector_extensions()[0]
    console.print(f"{processor()}, {extension}, {second_level() >> 10} KB of second-level "
                  f"cache; one core reads, GB/s: {speed}")  # fmt: skip
    left = torch.randn(64, 1350)
    right = torch.randn(1350, 4050)
    dense = race({"mm": lambda: torch.mm(left, right)})["mm"]
    console.print(f"torch.mm of a step's 64 sequences: {left.numel() * 4050 * 2 / dense / 1e9:.0f} "
                  f"GFLOP/s on {torch.get_num_threads()} threads")  # fmt: skip
    total = 2 * len(chosen) * len(ACTIVITIES) * (1 + len(WINDOWS))
    # Without a thread that draws while others are timed.
    timed = track(cases(chosen, speed, console), "timing", total, console=console,
                  auto_refresh=False)  # fmt: skip
    results = list(timed)
    memory = {str(s): {n: peak_memory(n, s) for n in ("core", "gru")} for s in chosen}
    for shape, found in memory.items():
        steps, count, _, size = map(int, shape.strip("()").split(","))
        console.print(f"peak memory of training {shape}: core {found['core'] / 1e6:.0f} MB, "
                      f"torch.nn.GRU {found['gru'] / 1e6:.0f} MB, one state per unit and step "
                      f"{4e-6 * steps * count * size:.0f} MB")  # fmt: skip
    training = default_training()
    console.print(f"an epoch of mnist1d: core {training['core']:.2f} s, PyTorch operations "
                  f"{training['torch']:.2f} s")  # fmt: skip
    facts = {
        "commit": subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True
        ).stdout.strip(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "processor": processor(), "second_level": second_level(),
        "vector_extension": extension, "threads": torch.get_num_threads(), "bandwidth": speed,
        "memory": memory, "epoch": training, "results": results,
    }  # fmt: skip
    (OUT / "bench.json").write_text(json.dumps(facts, indent=1) + "\n")
    (OUT / "bench.md").write_text(markdown(results, memory))
    plot(results, OUT / "bench.png")
    console.print(f"wrote bench.json, bench.md and bench.png to {OUT}")


if __name__ == "__main__":
    app()
