"""Runs a subcommand of egru on a virtual board: make demo, make selftest.

python tools/on_virtual_board.py SUBCOMMAND [OPTIONS]
"""

import subprocess
import sys

from egru_hw.contract.config import preset
from sim.virtual_board import VirtualBoard

print("compiling a virtual ULX3S-12F, unless that was done before ...", flush=True)
with VirtualBoard(preset("ulx3s-12f")) as board:
    command = [sys.executable, "-m", "egru_cli", *sys.argv[1:], "--port", board.port]
    sys.exit(subprocess.run(command, check=False).returncode)
