"""Errors of a training that a user can do something about."""

from collections.abc import Iterator
from contextlib import contextmanager

from golden.training.checkpoint import Files


class Interrupted(KeyboardInterrupt):
    """A training stopped by Ctrl-C or SIGTERM; the message says how to resume it."""


class OutOfMemory(ValueError):
    """A network or batch that is too large for this machine; the message says what to reduce."""


def diverged(learning_rate: float, when: str, what: str, value: float) -> ValueError:
    """The error for a training in which ``what`` has become a ``value`` that is not finite."""
    return ValueError(
        f"the training diverged {when}, where {what} is {value}: train with a lower "
        f"--learning-rate than {learning_rate}, and with --overwrite"
    )


@contextmanager
def explained(files: Files) -> Iterator[None]:
    """Raises Interrupted for a KeyboardInterrupt, and OutOfMemory where memory runs out."""
    try:
        yield
    except KeyboardInterrupt:
        if files.checkpoint.exists():
            message = f"stopped: continue with --resume, from {files.checkpoint}"
        else:
            message = "stopped before the end of the first epoch: there is nothing to resume"
        raise Interrupted(message) from None
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "can't allocate memory" not in str(error):
            raise
        raise OutOfMemory(
            "there is not enough memory: reduce --hidden-size or --batch-size"
        ) from None
