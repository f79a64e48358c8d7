"""Fixtures that several files of tests use."""

import signal

import pytest


@pytest.fixture
def toy(monkeypatch):
    """Toy among the tasks."""
    # Imported here, as most other tests do not need PyTorch.
    import torch

    from golden.tasks import TASKS
    from tests.helpers.toy import Toy

    torch.set_num_threads(1)
    # A shell starts background jobs, perhaps this one, with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setitem(TASKS, "toy", Toy())
    yield
    torch.use_deterministic_algorithms(False)
