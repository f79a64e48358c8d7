"""Verilator as a backend."""

import os
import subprocess

import pytest

from egru_hw.host.transport import TransportError
from sim.backends import verilator
from sim.backends.verilator_install import can_write_fst
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


def test_waveforms_are_recorded_up_to_a_limit_in_folders_with_spaces(tmp_path, monkeypatch):
    options = {"backend": "verilator", "build": tmp_path / "build it"}
    sizes = []
    for limit in (10**9, 10_000):
        monkeypatch.setattr(verilator, "WAVES_LIMIT", limit)
        waves = tmp_path / "a folder" / "egru.vcd"
        assert simulate_tiny(waves=waves, **options).comparison.mismatches == 0
        sizes.append(waves.stat().st_size)
    assert 10_000 <= sizes[1] < sizes[0] / 2


@pytest.mark.skipif(not can_write_fst(), reason="lz4.h is not installed")
def test_waveforms_may_be_fst(tmp_path):
    simulate_tiny(backend="verilator", waves=tmp_path / "egru.fst")
    assert (tmp_path / "egru.fst").stat().st_size > 1000


def harness_replaced_by(*command: str):
    started = subprocess.Popen

    def popen(args, **options):
        return started(command if "harness" in args[0] else args, **options)

    return popen


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("sh", "-c", "kill -9 $$"), "status -9"),
        (("sh", "-c", "echo no memory >&2; exit 1"), "no memory"),
        (("sh", "-c", "exit 0"), "status 0"),
    ],
)
def test_a_simulation_that_breaks_off_is_one_sentence(monkeypatch, command, reason):
    monkeypatch.setattr(subprocess, "Popen", harness_replaced_by(*command))
    with pytest.raises(TransportError, match=f"^the simulation broke off: {reason}$"):
        simulate_tiny(backend="verilator")
