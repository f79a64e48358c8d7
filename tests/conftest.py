"""Fixtures that several files of tests use; and a check of which code is tested."""

import re
import signal
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("fuzz", max_examples=2000)


def pytest_configure():
    """Refuse to test another checkout, whose editable install comes before this folder."""
    # A shell starts background jobs, perhaps this one, with Ctrl-C ignored, and programs that
    # tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for package in ("golden", "egru_hw", "sim", "boards", "egru_cli", "experiments"):
        spec = find_spec(package)
        place = Path(spec.origin).resolve().parents[1] if spec and spec.origin else None
        if place != ROOT:
            raise pytest.UsageError(
                f"these tests are in {ROOT}, but the package {package} that they would import is "
                f"in {place}: run 'make setup' in {ROOT} and use its .venv/bin/python"
            )


def pytest_runtest_teardown(item):
    """Note how many cases hypothesis has tried."""
    said = getattr(item, "hypothesis_statistics", "")
    tried = map(int, re.findall(r"(\d+) (?:passing|failing)", said))
    item.user_properties.append(("cases", sum(tried)))


def pytest_terminal_summary(terminalreporter, config):
    """How many of each kind, where a profile was chosen."""
    if not config.getoption("hypothesis_profile"):
        return
    cases: Counter[str] = Counter()
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if getattr(report, "when", "") == "teardown":
            kind = report.nodeid.rpartition("::test_")[2].partition("[")[0].replace("_", " ")
            cases[kind] += dict(report.user_properties)["cases"]
    counts = "; ".join(f"{count} {kind}" for kind, count in cases.items() if count)
    terminalreporter.write_line(f"{cases.total()} cases: {counts}")


@pytest.fixture
def toy(monkeypatch):
    """Toy among the tasks."""
    # Imported here, as most other tests do not need PyTorch.
    import torch

    from golden.tasks import TASKS
    from tests.helpers.toy import Toy

    torch.set_num_threads(1)
    monkeypatch.setitem(TASKS, "toy", Toy())
    yield
    torch.use_deterministic_algorithms(False)
