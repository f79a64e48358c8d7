"""Writing files: whole or not at all, through symbolic links, over regular files only."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class OutputError(ValueError):
    """A place where no file can be written; the message says what to do."""


def target(path: str | Path) -> Path:
    """Where the file ``path`` is written: for a symbolic link, where that leads.

    Raises:
        OutputError: something is there that is no regular file.
    """
    place = Path(os.path.realpath(path))
    if os.path.lexists(place) and not place.is_file():
        raise OutputError(f"{path} is not a regular file: name another place to write to")
    return place


def check(*paths: str | Path) -> None:
    """Refuse places where no file can be written, before the work for it is done.

    Raises:
        OutputError: naming the first such place.
    """
    for path in paths:
        folder = target(path).parent
        try:
            while not folder.exists():
                folder = folder.parent
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written ({folder}: {error.strerror}): name another place"
            ) from None


def write(path: str | Path, data: bytes | str) -> None:
    """Write ``data`` so that ``path`` holds the old or the new content, never a part.

    Raises:
        OutputError: something is there that is no regular file.
    """
    place = target(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=place.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, place)
    except BaseException:
        os.unlink(temporary)
        raise


@contextmanager
def locked(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock file ``path``, which exists meanwhile; a process that dies releases it.

    Folders that are made for it are removed again if nothing else has been written to them.

    Raises:
        OutputError: another process holds it; the message is ``refusal``.
    """
    place = target(path)
    made = [folder for folder in place.parents if not folder.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.path.samestat(os.fstat(file.fileno()), place.stat())
        except (BlockingIOError, FileNotFoundError):  # the latter if it was freed just now
            mine = False
        if not mine:
            raise OutputError(refusal)
        try:
            yield
        finally:
            place.unlink(missing_ok=True)
            with suppress(OSError):  # they hold something now
                for folder in made:
                    folder.rmdir()
