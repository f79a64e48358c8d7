"""Fixtures that several files of tests use."""

import signal

import pytest


@pytest.fixture
def toy(monkeypatch):
    """Toy among the tasks."""
    # Here, as most other tests do without PyTorch.
    import torch

    from golden.tasks import TASKS
    from golden.training.recipes import RECIPES
    from tests.helpers.toy import RECIPE, Toy

    torch.set_num_threads(1)
    # A shell's background jobs, perhaps this one, are started with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setitem(TASKS, "toy", Toy())
    monkeypatch.setitem(RECIPES, "toy", RECIPE)
    yield
    torch.use_deterministic_algorithms(False)
