"""Serial ports with devices behind them."""

import pytest

import egru_hw
from tests.helpers.device import connect, connect_faulty


@pytest.fixture
def device(monkeypatch) -> None:
    """Every port is that of the smallest accelerator."""
    monkeypatch.setattr(egru_hw, "connect", connect)


@pytest.fixture
def faulty_device(monkeypatch) -> None:
    """Every port is that of an accelerator with a fault."""
    monkeypatch.setattr(egru_hw, "connect", connect_faulty)
