"""Finds the FPGA tools: native ones if all are installed, otherwise YoWASP's."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from boards.board import BuildError

PROGRAMS = ("yosys", "nextpnr-ecp5", "ecppack")


@dataclass(frozen=True)
class Tools:
    """Paths of the programs in ``PROGRAMS``, by name.

    ``native`` programs are 2 to 4 times as fast as YoWASP's, which are WebAssembly.
    """

    paths: dict[str, str]
    native: bool

    @classmethod
    def find(cls) -> "Tools":
        """``BuildError`` if neither the native programs nor YoWASP's are all installed."""
        # The environment's own programs are not on PATH unless it was activated.
        environment = str(Path(sys.executable).parent)
        for native, prefix, where in ((True, "", None), (False, "yowasp-", environment)):
            found = {name: shutil.which(prefix + name, path=where) for name in PROGRAMS}
            paths = {name: path for name, path in found.items() if path}
            if len(paths) == len(PROGRAMS):
                return cls(paths, native)
        raise BuildError(f"{', '.join(PROGRAMS)} are missing: install the extra egru-hw[boards].")

    def versions(self) -> dict[str, str]:
        """The version of each program. YoWASP's are compiled on first use."""
        return {name: self._version(name) for name in self.paths}

    def _version(self, name: str) -> str:
        command = [self.paths[name], "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            *_, why = ("it gave no reason", *done.stderr.strip().splitlines())
            raise BuildError(f"{name} does not start: {why}")
        said = done.stdout + done.stderr
        match = re.search(r"(?:Yosys |Version )(?:nextpnr-)?([\w.+-]+)", said)
        return match[1] if match else said.strip()
