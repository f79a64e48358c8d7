"""Builds a bitstream from a model with Yosys, nextpnr and ecppack."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amaranth.build.plat import TemplatedPlatform
from amaranth.hdl import Elaboratable

from boards.board import Board, BuildError
from boards.ecp5.tools import Tools
from boards.ecp5.top import Top, check_clock
from boards.ecp5.utilization import Use, Utilization, overfull, uses
from egru_hw.contract.config import Config, preset
from egru_hw.contract.image import Image, build_image
from golden import output
from golden.integer import IntegerEGRU

BITSTREAM = "egru.bit"
# Each slice of the lanes registers its own copy of the broadcast signals, so that the copy can be
# placed close to it. Without the hierarchy, Yosys would merge the copies.
KEEP_SLICES = "setattr -mod -set keep_hierarchy 1 *.slice_*"
# With the default placer, nets are 1.5 times as long, and the 85F design hardly routes.
NEXTPNR_OPTIONS = ("--placer", "static")
STEPS = {"yosys": "synthesis", "nextpnr-ecp5": "place and route", "ecppack": "packing"}


@dataclass(frozen=True)
class Build:
    """A finished build.

    Attributes:
        bitstream: path of the bitstream; the tools' logs are in the same folder.
        utilization: resources used and clock reached.
        tools: version of each tool by name.
        seconds: duration of the build.
    """

    bitstream: Path
    utilization: Utilization
    tools: dict[str, str]
    seconds: float


def build(
    board: Board,
    variant: str,
    model: IntegerEGRU,
    out: Path,
    *,
    mhz: float | None = None,
    placement_seed: int = 2,
    progress: Callable[[str], None] = lambda step: None,
) -> Build:
    """Build ``out/BOARD-VARIANT/egru.bit``. Removes an earlier one, even if the build fails.

    Args:
        model: model that the accelerator's memories hold at power-up.
        mhz: clock that the design must reach; the board's default if omitted.
        placement_seed: seed of place and route.
        progress: called with the name of each step as it begins.

    Raises:
        BuildError: the design does not fit or misses its clock, or a tool is missing or fails.
        ValueError: the model does not fit the accelerator, the clock cannot be made, or the
            bitstream cannot be written.
    """
    start = time.monotonic()
    chosen = board.variant(variant)
    directory = out / f"{board.name}-{variant.lower()}"
    output.check(directory / BITSTREAM)
    output.target(directory / BITSTREAM).unlink(missing_ok=True)
    if mhz is None:
        mhz = board.frequency
    check_clock(board, mhz)
    config = preset(chosen.preset)
    image = build_image(model, config)
    tools = Tools.find()
    progress(
        "native tools"
        if tools.native
        else "YoWASP's tools, which take some minutes to compile on first use"
    )
    versions = tools.versions()
    top = Top(board, config, image, mhz)
    utilization = _implement(
        chosen.platform(), top, directory, mhz, placement_seed, tools, progress
    )
    seconds = time.monotonic() - start
    return Build(directory / BITSTREAM, utilization, versions, seconds)


def resources(
    board: Board,
    variant: str,
    config: Config,
    directory: Path,
    *,
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[dict[str, Use], dict[str, str]]:
    """What an accelerator of ``config`` uses of a part, and the tools' versions.

    Synthesises and packs an accelerator without a model, and neither places nor routes it. Takes
    a minute or two. The tools' logs are in ``directory``.

    Raises:
        BuildError: a tool is missing or fails, or the design does not fit.
    """
    top = Top(board, config, Image.empty(), board.frequency)
    tools = Tools.find()
    synthesis, packing, _ = _plan(
        board.variant(variant).platform(), top, directory, ["--pack-only"], progress
    )
    _run(synthesis, directory, tools, progress)
    unplaced = packing[: packing.index("--textcfg")]  # there is nothing to write
    _run(unplaced, directory, tools, progress)
    log = (directory / "nextpnr-ecp5.log").read_text(errors="replace")
    return uses(log), tools.versions()


def _implement(
    platform: TemplatedPlatform,
    top: Elaboratable,
    directory: Path,
    mhz: float,
    seed: int,
    tools: Tools,
    progress: Callable[[str], None],
) -> Utilization:
    """Synthesis, place and route, and packing, in ``directory``."""
    options = [
        *("--seed", str(seed)),
        *("--report", "nextpnr.json"),
        # A missed clock is found in the report; else nextpnr would stop without writing one.
        "--timing-allow-fail",
    ]
    synthesis, place_and_route, packing = _plan(platform, top, directory, options, progress)
    _run(synthesis, directory, tools, progress)
    _run(place_and_route, directory, tools, progress)
    report = Utilization.parse((directory / "nextpnr.json").read_text(), mhz)
    if report.achieved < report.demanded:
        raise BuildError(
            f"the design misses its clock: it reaches {report.achieved:.1f} MHz of "
            f"{report.demanded:g} (try another seed or a lower frequency; the critical path is "
            f"in {directory / 'nextpnr-ecp5.log'})."
        )
    _run(packing, directory, tools, progress)
    shutil.move(directory / "top.bit", output.target(directory / BITSTREAM))
    return report


def _plan(
    platform: TemplatedPlatform,
    top: Elaboratable,
    directory: Path,
    nextpnr_options: list[str],
    progress: Callable[[str], None],
) -> list[list[str]]:
    """Write the inputs of the tools to ``directory``; returns the three commands."""
    progress("generating the hardware")
    plan = platform.prepare(
        top,
        "top",
        verbose=True,  # in the logs
        script_after_read=KEEP_SLICES,
        script_after_synth="flatten; opt_clean -purge",
        nextpnr_opts=[*NEXTPNR_OPTIONS, *nextpnr_options],
    )
    plan.extract(directory)
    return json.loads(plan.files["build_top.json"])["commands"]


def _run(
    command: list[str], directory: Path, tools: Tools, progress: Callable[[str], None]
) -> None:
    name, *arguments = command
    progress(f"{STEPS[name]}: {name}")
    log = directory / f"{name}.log"
    with log.open("w") as output:
        done = subprocess.run(
            [tools.paths[name], *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode == 0:
        return
    said = log.read_text(errors="replace")
    if lacking := overfull(said):
        needs = ", ".join(f"{use.used} of {use.available} {name}" for name, use in lacking.items())
        raise BuildError(f"the design does not fit: it needs {needs} (log: {log}).")
    errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    if errors:
        why = errors[-1].removeprefix("ERROR: ")
    elif done.returncode < 0:
        why = f"{name} was ended by signal {-done.returncode}"
    else:
        why = f"{name} gave no reason"
    raise BuildError(f"{STEPS[name]} failed: {why} (log: {log}).")
