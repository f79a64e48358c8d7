"""Files are written whole, through symbolic links, and over nothing but files."""

import os
from pathlib import Path

import pytest

from golden import output
from golden.output import OutputError


def test_a_file_and_its_folders_are_made_and_nothing_else(tmp_path):
    path = tmp_path / "a" / "b" / "c"
    output.check(path)
    assert not any(tmp_path.iterdir())
    output.write(path, "text")
    output.write(path, b"bytes")
    assert path.read_bytes() == b"bytes"
    assert [p.name for p in path.parent.iterdir()] == ["c"]


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path):
    link, there = tmp_path / "link", tmp_path / "folder" / "there"
    link.symlink_to(there)
    for text in ("new", "newer"):
        output.write(link, text)
        assert link.is_symlink()
        assert there.read_text() == text


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, loop])
def test_what_is_no_regular_file_is_refused_and_stays(tmp_path, make):
    path = tmp_path / "there"
    make(path)
    before = path.lstat()
    for use in (output.check, lambda path: output.write(path, "text")):
        with pytest.raises(OutputError, match="there is not a regular file: name another place"):
            use(path)
    assert path.lstat() == before


def test_a_device_is_refused_and_stays():
    with pytest.raises(OutputError, match="/dev/null is not a regular file"):
        output.write("/dev/null", "text")
    assert Path("/dev/null").is_char_device()


def test_a_place_that_takes_no_files_is_refused_before_the_work():
    with pytest.raises(OutputError, match=r"/proc/a/b cannot be written \(/proc: .*\): name"):
        output.check("/proc/a/b")


def test_a_lock_is_free_again_after_an_error(tmp_path):
    path = tmp_path / "lock"
    for _ in range(2):
        with (
            pytest.raises(OutputError, match=r"^held$"),
            output.locked(path, "free"),
            output.locked(path, "held"),
        ):
            pass
    assert not path.exists()


def test_a_lock_leaves_no_empty_folders(tmp_path):
    with output.locked(tmp_path / "a" / "b" / "lock", "busy"):
        pass
    assert not list(tmp_path.iterdir())
    with output.locked(tmp_path / "a" / "b" / "lock", "busy"):
        (tmp_path / "a" / "result").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "result"]
