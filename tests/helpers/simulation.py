"""A small simulation, and what it were with one wrong number."""

from contextlib import closing
from dataclasses import replace

import numpy as np

import sim
from egru_hw.contract.config import Config, preset
from egru_hw.host.device import Device
from egru_hw.host.replies import HardwareResult
from egru_hw.host.transport import Transport
from golden.integer import IntegerEGRU
from sim import compare
from sim.random_models import random_inputs, random_model
from tests.helpers.streams import generator


def exchange(transport: Transport, packets: np.ndarray, replies: int) -> np.ndarray:
    """All replies to ``packets``, of which so many are no EVENT, in a session of their own."""
    with closing(transport):
        transport.reset()
        transport.send(packets)
        return transport.receive(replies)


def run(
    transport: Transport, config: Config, model: IntegerEGRU, inputs: np.ndarray
) -> HardwareResult:
    """Load a model and run it in a session."""
    device = Device(transport, config)
    device.load(model)
    return device.run(inputs)


def simulate_tiny(**options):
    rng = generator(1)
    model = random_model(rng, 2, (5, 4), 3, threshold=2000)
    inputs = random_inputs(rng, 3, 6, 2)
    return sim.run(model, inputs, **{"config": preset("tiny"), "backend": "amaranth"} | options)


def spoil(simulation, where):
    """The simulation as it were if the hardware had one number wrong."""
    hardware = simulation.hardware
    if where == "event":
        events = [layer.copy() for layer in hardware.events]
        events[1][2, 3, 1] ^= 5
        hardware = replace(hardware, events=tuple(events))
    elif where == "final state":
        states = [layer.copy() for layer in hardware.states]
        states[0][1, 4] += 1
        hardware = replace(hardware, states=tuple(states))
    else:
        outputs = hardware.outputs.copy()
        outputs[0, 2] -= 1
        hardware = replace(hardware, outputs=outputs)
    return replace(simulation, hardware=hardware, comparison=compare(simulation.golden, hardware))
