"""Amaranth's simulator as a backend."""

from tests.helpers.simulation import simulate_tiny


def test_waves_are_recorded_where_asked(tmp_path):
    simulate_tiny(waves=tmp_path / "tiny.vcd")
    assert "$enddefinitions" in (tmp_path / "tiny.vcd").read_text()
