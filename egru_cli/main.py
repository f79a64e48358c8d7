"""Entry point of ``egru``: every error that a user can fix is one sentence and an exit status.

The status is 0 for success, 1 if the accelerator differs from the integer model, 2 for bad
input or a missing program, 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP. Only bugs
have a traceback.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import psutil

# Modules that are slow to import are imported after the signal handlers are in place.

PACKAGES = ("golden", "egru_hw", "sim", "boards", "experiments", "egru_cli")
"""Exceptions defined in these packages carry a message for the user."""

STOPPED = {
    signal.SIGINT: "stopped by Ctrl-C",
    signal.SIGTERM: "stopped by SIGTERM",
    signal.SIGHUP: "stopped by SIGHUP",
}
_last_signal = signal.SIGINT


def main() -> None:
    """Run the command line and exit."""
    for number in STOPPED:
        # A shell's background jobs ignore SIGINT, and nohup's ignore SIGHUP: leave it so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    with explained():
        from egru_cli.app import app

        app(prog_name="egru")


@contextmanager
def explained() -> Iterator[None]:
    """Exit with a sentence and a status if the body raises an error that a user can fix."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        _exit(str(interrupt) or STOPPED[_last_signal], 128 + _last_signal)
    except BrokenPipeError:  # the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except Exception as error:
        if (sentence := _sentence(error)) is None:
            raise
        _exit(f"error: {_on_one_line(sentence)}", 2)


def _sentence(error: Exception) -> str | None:
    """The message of ``error`` for the user, or None if it is a bug."""
    if isinstance(error, ModuleNotFoundError):
        from egru_cli.extras import advice

        return advice((error.name or "").partition(".")[0])
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, ValueError | OSError) or _is_own(type(error)):
        return str(error)
    return None


def _on_one_line(text: str) -> str:
    """``text`` with its line breaks, and what else terminals interpret, as escape sequences."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _is_own(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in PACKAGES


def _exit(message: str, status: int) -> NoReturn:
    from egru_cli.console import console

    console.print(message)
    raise SystemExit(status)


def _stop(number: int, frame) -> None:
    """End all child processes and raise KeyboardInterrupt, as Python does for Ctrl-C.

    During an import the process ends at once: modules that are being imported catch exceptions
    of any kind, and Python loses those that are raised in its import system.
    """
    global _last_signal
    _last_signal = signal.Signals(number)
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            print(STOPPED[_last_signal], file=sys.stderr, flush=True)
            os._exit(128 + number)
        frame = frame.f_back
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    raise KeyboardInterrupt
