"""``make selftest``: random models on a virtual board, until so many values were compared."""

import subprocess
import sys

from egru_hw.contract.config import preset
from sim.virtual_board import VirtualBoard

print("compiling a virtual ULX3S-12F, unless that was done before ...", flush=True)
with VirtualBoard(preset("ulx3s-12f")) as board:
    command = (sys.executable, "-m", "egru_cli", "selftest")
    options = ("--port", board.port, "--values", sys.argv[1])
    sys.exit(subprocess.run(command + options, check=False).returncode)
