"""Tools of a bitstream that do nothing but answer."""

import pytest

from tests.helpers.fpga_tools import FakeTools


@pytest.fixture
def tools(tmp_path, monkeypatch):
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    return FakeTools(folder)
