"""Finds the programs that make a bitstream: native ones if all are there, else YoWASP's."""

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
    """The programs' paths, by their names in ``PROGRAMS``.

    ``native`` ones are 2 to 4 times faster than YoWASP's, which are WebAssembly.
    """

    paths: dict[str, str]
    native: bool

    @classmethod
    def find(cls) -> "Tools":
        """``BuildError`` if neither all native programs are there nor all of YoWASP's."""
        # The environment's own programs are not on PATH unless it was activated.
        environment = str(Path(sys.executable).parent)
        for native, prefix, where in ((True, "", None), (False, "yowasp-", environment)):
            found = {name: shutil.which(prefix + name, path=where) for name in PROGRAMS}
            paths = {name: path for name, path in found.items() if path}
            if len(paths) == len(PROGRAMS):
                return cls(paths, native)
        raise BuildError(f"{', '.join(PROGRAMS)} are missing: install the extra egru-hw[boards].")

    def versions(self) -> dict[str, str]:
        """The version of each program. YoWASP's compile themselves at their first call."""
        return {name: self._version(name) for name in self.paths}

    def _version(self, name: str) -> str:
        command = [self.paths[name], "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"{name} does not start: {done.stderr.strip()}")
        said = done.stdout + done.stderr
        match = re.search(r"(?:Yosys |Version )(?:nextpnr-)?([\w.+-]+)", said)
        return match[1] if match else said.strip()
