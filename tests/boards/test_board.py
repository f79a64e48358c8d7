"""What holds for every board."""

import re
from pathlib import Path

import pytest

import boards
from boards import BuildError
from egru_hw.contract.config import preset

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["egru_hw", "golden", "sim"])
def test_no_pin_is_named_outside_boards(package):
    for path in (ROOT / package).rglob("*.py"):
        assert not re.search(r"\bPins\(|platform\.request", path.read_text()), path


def test_every_board_is_found_by_its_name_and_has_presets_that_exist():
    for name in boards.BOARDS:
        board = boards.find(name)
        assert board.name == name
        for variant in board.variants:
            assert preset(board.variant(variant.lower()).preset)


def test_a_board_is_one_short_file():
    for name in boards.BOARDS:
        assert len((ROOT / "boards" / f"{name}.py").read_text().splitlines()) <= 40


def test_unknown_boards_and_variants_are_refused_with_the_known_ones():
    with pytest.raises(BuildError, match=r"^'ulx4s' is not a board: expected one of ulx3s\.$"):
        boards.find("ulx4s")
    known = "12F, 25F, 45F, 85F"
    with pytest.raises(
        BuildError, match=f"'13F' is not a variant of ulx3s: expected one of {known}"
    ):
        boards.find("ulx3s").variant("13F")
