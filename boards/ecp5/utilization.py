"""Resources used and clock reached, as reported by place and route."""

import json
import re
from dataclasses import dataclass

# nextpnr's cells, and their common names.
RESOURCES = {
    "TRELLIS_COMB": "LUTs",
    "TRELLIS_FF": "flip-flops",
    "DP16KD": "block RAMs",
    "MULT18X18D": "multipliers",
}


@dataclass(frozen=True)
class Use:
    """How many of a resource the design uses, and how many the device has."""

    used: int
    available: int


@dataclass(frozen=True)
class Utilization:
    """Clocks in MHz; resources by the names in ``RESOURCES``."""

    achieved: float
    demanded: float
    resources: dict[str, Use]

    @classmethod
    def parse(cls, text: str, mhz: float) -> "Utilization":
        """Parse nextpnr's JSON report on a design that must run at ``mhz``.

        ``ValueError`` if no clock has that constraint: the result would be meaningless.
        """
        report = json.loads(text)
        clocks = [
            (clock["achieved"], clock["constraint"])
            for clock in report["fmax"].values()
            if abs(clock["constraint"] / mhz - 1) < 2e-3  # the PLL's tolerance, and rounded to ps
        ]
        if not clocks:
            raise ValueError(f"place and route found no clock of {mhz:g} MHz")
        resources = {name: Use(**report["utilization"][cell]) for cell, name in RESOURCES.items()}
        return cls(*min(clocks), resources)


def uses(log: str) -> dict[str, Use]:
    """What the design uses of every resource of the device, from nextpnr's log."""
    _, _, table = log.partition("Device utilisation:")
    rows = re.findall(r"(\w+): +(\d+)/ *(\d+) +\d+%", table)
    return {RESOURCES.get(cell, cell): Use(int(used), int(limit)) for cell, used, limit in rows}


def overfull(log: str) -> dict[str, Use]:
    """Resources that the design needs more of than the device has, from nextpnr's log."""
    return {name: use for name, use in uses(log).items() if use.used > use.available}
