"""Work on several cores, or on the machines of a Dask cluster."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def workers(jobs: int | None, cluster: str | None) -> Iterator[Executor]:
    """An executor of ``jobs`` processes, or of the Dask cluster whose scheduler is at ``cluster``.

    Args:
        jobs: the number of cores if None.

    Raises:
        ValueError: the cluster does not answer.
    """
    with _cluster(cluster) if cluster else _processes(jobs or os.cpu_count() or 1) as pool:
        yield pool


@contextmanager
def _processes(jobs: int) -> Iterator[Executor]:
    # Not by fork: this process has threads, of torch and of progress bars.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _leave_signals_to_the_first_process)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_signals_to_the_first_process() -> None:
    """On Ctrl-C it ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    from distributed import Client
    from distributed.comm import get_address_host_port

    try:
        get_address_host_port(address)  # which Client would leave half open if it refused it
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--cluster {address}: no scheduler of a Dask cluster answers there ({error})"
        ) from None
    with client:
        yield client.get_executor()
