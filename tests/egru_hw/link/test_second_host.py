"""docs/second_host.py: a host that knows the documents only."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from egru_hw.contract.config import preset
from golden.integer import IntegerEGRU, IntegerLayer, IntegerReadout
from golden.integer.numerics import VALUE_BITS, Format
from tests.helpers.accelerator_model import AcceleratorModel
from tests.helpers.device_model import DeviceModel
from tests.helpers.simulated_port import Fault, Kind, Wire
from tests.helpers.terminal import Terminal

SCRIPT = Path(__file__).parents[3] / "docs" / "second_host.py"
INPUTS = [200, -100, 0, 255, 255, 0, 0, -256]
LAYER = IntegerLayer(
    np.array([[10], [-20], [30]]),
    np.array([[5], [15], [-25]]),
    np.array([[300], [-2000], [400], [100]]),
    np.array([9000]),
    input_alignment=6,
    recurrent_alignment=6,
)
READOUT = IntegerReadout(np.array([[50]]), np.array([-3]), fraction=0, bias_operand=256)
MODEL = IntegerEGRU((LAYER,), Format(VALUE_BITS, 0), READOUT)
"""That of the script."""


class Faulty:
    """A device at the end of a line with faults in both directions."""

    def __init__(self, device: DeviceModel, faults: list[Fault]):
        self.device = device
        self.to_device, self.to_host = (
            Wire([fault for fault in faults if fault.to_device is way]) for way in (True, False)
        )

    def receive(self, data: bytes) -> None:
        self.device.receive(self.to_device.carry(data)[0])

    def transmit(self, room: int) -> bytes:
        return self.to_host.carry(self.device.transmit(room))[0]


def printed(device) -> list[list[int]]:
    """What the script prints."""
    with Terminal(device) as terminal:
        command = [sys.executable, SCRIPT, terminal.port]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def expected() -> list[list[int]]:
    """The values of all replies."""
    result = MODEL.run(np.array(INPUTS)[None, :, None])
    events = result.events[0].ravel().tolist()
    assert any(events)
    steps = [value for event in events for value in ([[event], []] if event else [[]])]
    return [*steps, result.outputs[0].tolist(), result.state[0][1][0].tolist()]


@pytest.mark.parametrize("name", ["tiny", "ulx3s-85f"])
def test_a_host_written_from_the_documents_gets_the_right_results(name):
    config = preset(name)
    assert printed(DeviceModel(AcceleratorModel(config, MODEL), config.fingerprint)) == expected()


@pytest.mark.parametrize("kind", [Kind.FLIP, Kind.DROP, Kind.DUPLICATE, Kind.INSERT])
@pytest.mark.parametrize("to_device", [True, False])
def test_it_gets_them_over_a_line_with_faults(kind, to_device):
    config = preset("tiny")
    faults = [Fault(kind, to_device, place, 1) for place in range(10, 2000, 97)]
    device = DeviceModel(AcceleratorModel(config, MODEL), config.fingerprint)
    assert printed(Faulty(device, faults)) == expected()


def test_it_is_short_and_needs_nothing_of_the_project():
    text = SCRIPT.read_text()
    assert len(text.splitlines()) <= 150
    assert "egru_hw" not in text
    assert "golden" not in text
