"""``make demo``: the shipped language model writes text on a virtual board."""

import subprocess
import sys

from egru_hw.contract.config import preset
from sim.virtual_board import VirtualBoard

print("compiling a virtual ULX3S-12F, unless that was done before ...", flush=True)
with VirtualBoard(preset("ulx3s-12f")) as board:
    command = (sys.executable, "-m", "egru_cli", "generate", "charlm", "--port", board.port)
    sys.exit(subprocess.run(command, check=False).returncode)
