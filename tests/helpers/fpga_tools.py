"""Stand-ins for the programs that make a bitstream, and what they print."""

import json
from pathlib import Path

REPORT = {
    "fmax": {
        "$glbnet$accelerator.clk": {"achieved": 83.2, "constraint": 80.0},
        "$glbnet$crystal": {"achieved": 210.0, "constraint": 25.0},
    },
    "utilization": {
        "TRELLIS_COMB": {"used": 11732, "available": 24288},
        "TRELLIS_FF": {"used": 4523, "available": 24288},
        "DP16KD": {"used": 45, "available": 56},
        "MULT18X18D": {"used": 28, "available": 28},
        "TRELLIS_IO": {"used": 10, "available": 197},
    },
}

LOG = """\
Info: Logic utilisation before packing:
Info:           RAM LUTs:   3184/ 3036   104%

Info: Device utilisation:
Info: \t          TRELLIS_IO:      10/    197     5%
Info: \t              DP16KD:      {rams}/     56    80%
Info: \t          MULT18X18D:      28/     28   100%
Info: \t        TRELLIS_COMB:   {luts}/  24288    48%

{end}
"""
FITTING = LOG.format(rams=45, luts=11732, end="Info: Program finished normally.")
OVERFULL = LOG.format(rams=70, luts=30000, end="ERROR: Unable to find legal placement")


class FakeTools:
    """Programs on PATH that say what ``say`` told them to."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.write("yosys", "true", version="Yosys 0.70 (git sha1 28ba3cb92)")
        self.write("ecppack", "echo fresh > top.bit", version="ecppack Version 1.4-82-g3afe7b5")
        self.say(REPORT, FITTING)

    def write(self, name: str, script: str, version: str = "Version 1") -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" && exit\n{script}\n')
        path.chmod(0o755)

    def say(self, report: dict | None, log: str, status: int = 0) -> None:
        """What place and route answers."""
        (self.folder / "report").write_text(json.dumps(report))
        (self.folder / "log").write_text(log)
        self.write(
            "nextpnr-ecp5",
            f"cat {self.folder}/log; cp {self.folder}/report nextpnr.json; exit {status}",
            version="nextpnr-ecp5 -- Place and Route (Version nextpnr-0.11.1)",
        )
