"""From a design to a bitstream, or to one sentence on why there is none."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from amaranth.build.plat import TemplatedPlatform
from amaranth.hdl import Elaboratable

from boards.fpga_tools import BuildError, Tools
from boards.utilization import Report, overfull

BITSTREAM = "egru.bit"
# Each slice of the lanes has its own copy of what is broadcast to all, so that it can be placed
# close to it. Yosys would merge the copies again if it could see into several slices at once.
KEEP_SLICES = "setattr -mod -set keep_hierarchy 1 *.slice_*"
# The default placer leaves nets half as long again, and 85F then hardly routes.
NEXTPNR_OPTIONS = ("--placer", "static")
STEPS = {"yosys": "synthesis", "nextpnr-ecp5": "place and route", "ecppack": "packing"}


def build(
    platform: TemplatedPlatform,
    top: Elaboratable,
    directory: Path,
    *,
    mhz: float,
    seed: int,
    tools: Tools,
    progress: Callable[[str], None],
) -> Report:
    """Makes ``directory/egru.bit``, which exists afterwards only if all went well.

    Beside it are the logs of the tools, by their names.

    Args:
        platform: of Lattice ECP5, and not yet prepared.
        mhz: the clock that must be reached.
        seed: of place and route.
        progress: is told what happens next.

    Raises:
        BuildError: the design does not fit, misses its clock, or a tool fails.
    """
    (directory / BITSTREAM).unlink(missing_ok=True)
    progress("generating the hardware")
    plan = platform.prepare(
        top,
        "top",
        verbose=True,  # in the logs
        script_after_read=KEEP_SLICES,
        script_after_synth="flatten; opt_clean -purge",
        nextpnr_opts=[
            *NEXTPNR_OPTIONS,
            *("--seed", str(seed)),
            *("--report", "nextpnr.json"),
            # A missed clock is found in the report; else nextpnr would stop without writing one.
            "--timing-allow-fail",
        ],
    )
    plan.extract(directory)
    synthesis, place_and_route, packing = json.loads(plan.files["build_top.json"])["commands"]

    _run(synthesis, directory, tools, progress)
    _run(place_and_route, directory, tools, progress)
    report = Report.parse((directory / "nextpnr.json").read_text(), mhz)
    if report.achieved < report.demanded:
        raise BuildError(
            f"the design misses its clock: it reaches {report.achieved:.1f} MHz of "
            f"{report.demanded:g} (try another seed or a lower frequency; the critical path is "
            f"in {directory / 'nextpnr-ecp5.log'})."
        )
    _run(packing, directory, tools, progress)
    (directory / "top.bit").replace(directory / BITSTREAM)
    return report


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
        why = f"{name} does not say why"
    raise BuildError(f"{STEPS[name]} failed: {why} (log: {log}).")
