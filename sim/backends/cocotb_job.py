"""Builds or runs a simulation under cocotb, in a process of its own.

cocotb's runner takes its settings from the environment, and returns when the simulation has ended.

    python -m sim.backends.cocotb_job build|test SIMULATOR MODEL FOLDER LOG

The folder MODEL holds the Verilog, and the simulation that is built from it. It runs in FOLDER.
"""

import sys
from pathlib import Path

from cocotb_tools.runner import get_runner

from egru_hw.gateware.verilog import TOP
from sim.backends.compiled import VERILATOR_OPTIONS


def main(job: str, simulator: str, model: Path, folder: Path, log: Path) -> None:
    runner = get_runner(simulator)
    if job == "build":
        runner.build(
            sources=[model / f"{TOP}.v"],
            hdl_toplevel=TOP,
            build_dir=model,
            build_args=list(VERILATOR_OPTIONS) if simulator == "verilator" else [],
            timescale=("1ns", "1ps"),
            log_file=log,
        )
    else:
        runner.test(
            test_module="sim.backends.cocotb_bench",
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=model,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            log_file=log,
        )


if __name__ == "__main__":
    _, job, simulator, *paths = sys.argv
    main(job, simulator, *map(Path, paths))
