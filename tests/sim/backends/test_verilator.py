"""Verilator as a backend."""

import os

import pytest

from egru_hw.host.driver import TransportError
from tests.helpers.simulation import simulate_tiny


def test_a_simulation_that_does_not_compile_is_one_sentence_and_a_log(tmp_path, monkeypatch):
    compiler = tmp_path / "bin" / "g++"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\necho out of luck >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CXX", str(compiler))
    build = tmp_path / "build"
    with pytest.raises(TransportError, match=r"^Verilator could not build the design: see ") as e:
        simulate_tiny(backend="verilator", build=build)
    assert str(build / "build.log") in str(e.value)
    assert "out of luck" in (build / "build.log").read_text()
    assert not [path for path in build.iterdir() if path.is_dir()], "half a build is left"
