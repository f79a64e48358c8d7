"""Ctrl-C stops a training after the epoch."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def stop_after_epoch(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C calls ``stop``; a second one acts as usual."""

    def interrupt(*_) -> None:
        stop()
        signal.signal(signal.SIGINT, previous)
        logger.info("stopping after this epoch; press Ctrl-C again to stop at once")

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
