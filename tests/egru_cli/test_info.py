"""``egru info``: what is connected."""

import json
import re
from dataclasses import asdict

import pytest

import egru_hw
from egru_cli import info
from egru_hw.contract.image import build_image
from egru_hw.contract.protocol import VERSION
from egru_hw.host.device import Device
from golden.model_file import load
from sim.backends.amaranth_simulator import AmaranthTransport
from sim.stimulus import Stimulus
from tests.helpers.command import invoke
from tests.helpers.device import CONFIG, save


def facts() -> dict:
    result = invoke("info", "--port", "P", "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_it_names_the_device(device):
    found = facts()
    assert found["presets"] == ["tiny"]
    assert found["identity"] == f"{CONFIG.fingerprint:08x}"
    assert found["protocol"] == VERSION
    assert found["sizes"] == asdict(CONFIG)
    assert found["formats"]["state"] == "SQ(1, 15)"
    assert found["model"] is None
    assert set(found["counters"].values()) == {0}


def test_the_table_shows_the_same(device):
    result = invoke("info", "--port", "P")
    rows = dict(re.findall(r"│ (.+?) +│ +(.+?) │", result.stdout))
    assert rows["presets"] == "tiny"
    assert rows["max units"] == str(CONFIG.max_units)
    assert rows["model"] == "none"


@pytest.mark.parametrize("shipped", [True, False])
def test_it_names_the_model_in_the_bitstream(monkeypatch, tmp_path, shipped):
    path = save(tmp_path / "m.safetensors", 3, 2, {})
    image = build_image(load(path).twin(), CONFIG)
    monkeypatch.setattr(
        egru_hw,
        "connect",
        lambda port: Device(AmaranthTransport(CONFIG, Stimulus(), image)),
    )
    models = {"digits": "digits", "small": path} if shipped else {"digits": "digits"}
    monkeypatch.setattr(info, "shipped", lambda: models)
    # The digits do not fit.
    monkeypatch.setattr(info, "load", lambda name: load(models[name]))
    assert facts()["model"] == ("small" if shipped else f"{image.digest:08x}")
