"""``egru verilog``: files of the presets that are asked for."""

import pytest

from egru_hw.contract.config import preset
from egru_hw.gateware.verilog import emit
from tests.helpers.command import invoke


def test_a_preset_is_written_to_a_file_of_its_name(tmp_path):
    result = invoke("verilog", "tiny", "--out", tmp_path / "new")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "new" / "egru_tiny.v").read_text() == emit(preset("tiny"))


@pytest.mark.parametrize("presets", [("huge",), ("tiny", "huge")])
def test_an_unknown_preset_is_refused_before_anything_is_written(presets, tmp_path):
    result = invoke("verilog", *presets, "--out", tmp_path / "new")
    assert result.exit_code == 2
    assert "no preset 'huge'" in result.stderr
    assert not (tmp_path / "new").exists()
