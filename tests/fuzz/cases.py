"""Damaged bytes and hostile words, and what every command does with them."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

from tests.helpers.command import invoke

fuzz = settings(max_examples=settings().max_examples // 3, deadline=None)

HOSTILE = [
    "", "-", "--", ".", "..", "../x", "/dev/null", "/dev/full", "folder", "loop", "dangling", "\n",
    "a\nb", "a\rb", "\x1b[31m", "\udcff", "\u2028", "x" * 300, "new/x", "a:b", ":", "=", "a=b=c",
    "[/red]", "{0}", "%s", "0", "-1", "1e400", "nan", "inf", "-0.0", "1_0", "٣", str(2**63),
    str(2**64), "9" * 5000, "model.safetensors", "good.npy", "good.csv", "model.safetensors:Toy",
]  # fmt: skip
TEXT = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-5, 2**65).map(str) | st.floats().map(str)
WORDS = st.one_of(st.sampled_from(HOSTILE), TEXT, NUMBERS)


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """``content`` with a few bytes replaced, inserted or removed, or cut short."""
    for _ in range(draw(st.integers(1, 3))):
        size = len(content)
        near = min(size, 200)  # headers are at the start, and the contents of zip files at the end
        begin = draw(st.integers(0, near) | st.integers(0, size) | st.integers(size - near, size))
        new = draw(st.binary(max_size=8) | st.binary(min_size=1, max_size=1))
        end = draw(st.sampled_from([begin, begin + len(new), begin + 1, begin + 30, size]))
        content = content[:begin] + new + content[end:]
    return content


@contextlib.contextmanager
def folder(files: dict[str, bytes]) -> Iterator[Path]:
    """A temporary working folder with these files, well below the folders of others."""
    with tempfile.TemporaryDirectory() as place:
        work = Path(place) / "deep" / "down"
        work.mkdir(parents=True)
        for name, content in files.items():
            (work / name).write_bytes(content)
        with contextlib.chdir(work):
            yield work


def check(*words: object, made: str | None = None):
    """``egru words`` in the working folder ends as every command must; returns its result.

    Args:
        made: how the names of files begin that a success may make without naming them.
    """
    before = _files()
    result = invoke(*words)
    said = f"{words}: {result.stdout}{result.stderr}"
    if not isinstance(result.exception, SystemExit | None):
        raise AssertionError(said) from result.exception
    assert result.exit_code in (0, 1, 2), said
    if result.exit_code == 2 and "Usage: " not in result.stderr:
        *before_it, line = result.stderr.splitlines()
        assert line.startswith("error: "), said
        assert line.isprintable(), said
        assert not any(other.startswith("error: ") for other in before_it), said
        assert result.stdout == "", said
    after = _files()
    new = [path for path in after.keys() - before if not made or not str(path).startswith(made)]
    for path in filter(Path.is_file, new):
        name = path.name.encode(errors="backslashreplace").decode()
        assert name.translate(dict.fromkeys(b"\a\b\v\f\r")) in said, path
    if result.exit_code == 2:
        assert after == before, said
    return result


def _files() -> dict[Path, bytes]:
    return {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}
