"""The record of builds, and the tool that writes it."""

import json
import sys

import pytest

from boards.ecp5.utilization import Use
from egru_hw.cost.area import BUILDS, RESOURCES, Build
from tools import record_builds

RECORDS = json.loads(BUILDS.read_text())


@pytest.fixture
def record(monkeypatch, tmp_path):
    """Runs the tool on a copy of the record; ``record()`` are the records afterwards."""
    place = tmp_path / "builds.json"
    place.write_text(BUILDS.read_text())
    monkeypatch.setattr(record_builds, "BUILDS", place)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["record_builds.py", *map(str, words)])
        record_builds.main()
        return json.loads(place.read_text())

    run.place = place
    return run


def report(record: dict, mhz: float) -> dict:
    """What egru bitstream writes for a build like that of a record."""
    more = {"model": {}, "mhz": {"achieved": mhz, "demanded": 80}, "seconds": 1.5}
    return record | more | {"placement_seed": 7}


def test_the_record_is_as_the_tool_writes_it():
    assert record_builds.added([], RECORDS) == RECORDS
    assert json.dumps(RECORDS, indent=1) + "\n" == BUILDS.read_text()
    assert all(Build.from_json(record).tools for record in RECORDS)


def test_a_report_of_a_bitstream_replaces_the_record_of_its_configuration(record, tmp_path):
    place = tmp_path / "report.json"
    place.write_text(json.dumps(report(RECORDS[0], 81.26)))
    found = record("collect", place)
    assert len(found) == len(RECORDS)
    assert [r["mhz"] for r in found if r["placement_seed"] == 7] == [81.3]
    assert sum(a != b for a, b in zip(found, RECORDS, strict=True)) == 1


def test_a_synthesised_configuration_is_added_but_replaces_no_placed_one(record, monkeypatch):
    uses = {name: {"used": 1, "available": 2} for name in RESOURCES}

    def resources(board, variant, config, out, progress):
        made = {name: Use(**use) for name, use in uses.items()}
        return made | {"TRELLIS_IO": Use(1, 1)}, {"yosys": "1"}

    monkeypatch.setattr(record_builds, "resources", resources)
    assert record("synthesize", "--variant", "12f") == RECORDS
    found = record("synthesize", "--variant", "85F", "lanes=48", "weight_rows=77")
    (new,) = [r for r in found if r not in RECORDS]
    assert (new["mhz"], new["placement_seed"], new["variant"]) == (None, None, "85F")
    assert (new["config"]["lanes"], new["config"]["weight_rows"]) == (48, 77)
    assert new["resources"] == uses
