"""Makes the runs of docs/results.md, several at a time, and writes the page."""

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from experiments.results import page, record
from experiments.results.catalogue import EXPERIMENTS, Experiment
from experiments.results.run import RunError, Say, Workplace
from golden import output

Choice = Literal["none", "cheap", "all"]


def make_results(
    train: Choice | None, only: Sequence[str], data: Path | None, jobs: int | None, say: Say
) -> bool:
    """Train, record every run in experiments/records/, and write docs/results.md and its figure.

    Args:
        train: the experiments to be trained; the cheap ones if neither they nor ``only`` are given.
        only: names of experiments to be trained instead, cheap or not.
        data: folder of all data. Experiments whose data are missing are not trained.
        jobs: number of parallel runs, each on one thread; 1 if omitted.
        say: receives progress messages.

    Returns:
        Whether all runs succeeded.

    Raises:
        ValueError: an experiment is unknown, an argument has no effect, a record is damaged, or the
            page cannot be written.
    """
    output.check(page.PAGE, page.FIGURE)
    chosen = _chosen(train, only)
    readers = [experiment for experiment in chosen if experiment.data]
    for option, value, users in (("--jobs", jobs, chosen), ("--data", data, readers)):
        if value and not users:
            raise ValueError(
                f"{option} has no effect, as nothing to be trained uses it: leave it out"
            )
    works = _works(chosen, data, say)
    with _quiet(logging.getLogger("golden")):
        failed = _work(works, jobs or 1)
    page.write(record.load_all(record.FOLDER))
    say(f"wrote {page.PAGE}, {page.FIGURE}")
    return not failed


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Suppress the log of every model's quantisation."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _chosen(train: Choice | None, only: Sequence[str]) -> list[Experiment]:
    if train and only:
        raise ValueError("--train has no effect with --only: leave one of them out")
    names = [experiment.name for experiment in EXPERIMENTS]
    for name in only:
        if name not in names:
            raise ValueError(
                f"--only {name}: there is no such experiment; there are: {', '.join(names)}"
            )
    if train == "none":
        return []
    if only:
        return [e for e in EXPERIMENTS if e.name in only]
    return [e for e in EXPERIMENTS if e.cheap or train == "all"]


def _works(experiments: list[Experiment], data: Path | None, say: Say) -> list[Workplace]:
    """The runs to be made; reports experiments whose data are missing."""
    works = []
    for experiment in experiments:
        for run in experiment.runs():
            path = run.data(data)
            if experiment.data and (path is None or not path.exists()):
                say(
                    f"{experiment.name}: not trained: there is no {experiment.data} in "
                    f"{data or 'a folder named with --data'}; its records are used"
                )
                break
            works.append(Workplace(run, data, _prefixed(run.name, say)))
    return works


def _prefixed(name: str, say: Say) -> Say:
    return lambda text: say(f"{name}: {text}")


def _work(works: list[Workplace], jobs: int) -> int:
    """Make all runs, and return how many failed."""
    left, failed = len(works), 0
    counting = threading.Lock()

    def make(work: Workplace) -> None:
        nonlocal left, failed
        failure = 0
        try:
            found = work.make() if not work.done() else record.load(work.record)[work.run.name]
            found.save(record.FOLDER / f"{work.run.experiment.name}.json")
            result = f"done: {found.scores['float'].metric:.2%}"
        except (RunError, ValueError, OSError) as error:
            failure = 1
            result = f"error: {error}"
        with counting:
            failed += failure
            left -= 1
            work.say(f"{result}; {left} to go")

    pool = ThreadPoolExecutor(jobs)
    try:
        list(pool.map(make, works))
    finally:
        pool.shutdown(cancel_futures=True)
    return failed
