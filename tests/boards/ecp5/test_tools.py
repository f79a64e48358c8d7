"""Which programs are chosen."""

import shutil
from pathlib import Path

import pytest

from boards import BuildError
from boards.ecp5.tools import Tools


def test_native_tools_are_preferred(tools):
    found = Tools.find()
    assert found.native
    assert found.paths["yosys"] == str(tools.folder / "yosys")


def test_yowasp_is_used_unless_every_native_tool_is_there(tools):
    (tools.folder / "ecppack").unlink()
    if shutil.which("ecppack"):
        pytest.skip("this system has tools of its own")
    found = Tools.find()
    assert not found.native
    assert all(Path(path).name == f"yowasp-{name}" for name, path in found.paths.items())


def test_absence_of_all_tools_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(BuildError, match=r"^yosys, nextpnr-ecp5, ecppack are missing: .*\.$"):
        Tools.find()
