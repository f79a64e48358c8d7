"""Records builds in egru_hw/cost/builds.json, the table behind the areas that egru cost prints.

python tools/record_builds.py collect build/*/report.json
python tools/record_builds.py synthesize [--variant 85F] lanes=48 units_per_cycle=4 ...

The first adds bitstreams that egru bitstream has built. The second synthesises the preset of the
variant with other sizes, without placing it, and adds that. A record of the same board, variant
and configuration is replaced, but never a placed one by one that is synthesised only.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import boards
from boards.ecp5.flow import resources
from egru_hw.contract.config import preset
from egru_hw.cost.area import BUILDS, RESOURCES, Build
from golden import output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    collecting = commands.add_parser("collect")
    collecting.add_argument("reports", nargs="+", type=Path)
    collecting.set_defaults(make=lambda given: [of_report(path) for path in given.reports])
    synthesizing = commands.add_parser("synthesize")
    synthesizing.add_argument("--board", default="ulx3s")
    synthesizing.add_argument("--variant", default="85F")
    synthesizing.add_argument("--out", type=Path, default=Path("build/synthesis"))
    synthesizing.add_argument("sizes", nargs="*", help="SIZE=NUMBER")
    synthesizing.set_defaults(make=lambda given: [synthesized(given)])
    given = parser.parse_args()
    records = json.loads(BUILDS.read_text()) if BUILDS.exists() else []
    output.write(BUILDS, json.dumps(added(records, given.make(given)), indent=1) + "\n")


def of_report(path: Path) -> dict[str, Any]:
    """The record of a build, from its report."""
    report = json.loads(path.read_text())
    names = ("board", "variant", "config", "resources", "placement_seed", "tools")
    return {name: report[name] for name in names} | {"mhz": round(report["mhz"]["achieved"], 1)}


def synthesized(given: argparse.Namespace) -> dict[str, Any]:
    """The record of a configuration that is synthesised for it."""
    board = boards.find(given.board)
    sizes = {name: int(number) for name, number in (text.split("=") for text in given.sizes)}
    config = replace(preset(board.variant(given.variant).preset), **sizes)
    found, tools = resources(board, given.variant, config, given.out, progress=print)
    return {
        "board": board.name,
        "variant": given.variant.upper(),
        "config": asdict(config),
        "resources": {name: asdict(found[name]) for name in RESOURCES},
        "placement_seed": None,
        "tools": tools,
        "mhz": None,
    }


def added(records: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``records`` with the ``new`` ones, in a fixed order."""
    table = {_key(record): record for record in records}
    for record in new:
        Build.from_json(record)  # refuses a damaged one
        if record["mhz"] or not table.get(_key(record), {}).get("mhz"):
            table[_key(record)] = record
    return [table[key] for key in sorted(table)]


def _key(record: dict[str, Any]) -> tuple[str, str, str]:
    return record["board"], record["variant"], json.dumps(record["config"], sort_keys=True)


if __name__ == "__main__":
    main()
