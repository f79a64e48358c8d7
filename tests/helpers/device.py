"""Devices for the commands that take a port, and models that fit them."""

from pathlib import Path

import numpy as np

from egru_hw.contract.config import preset
from egru_hw.contract.protocol import Reply, pack, unpack
from egru_hw.host.device import Device
from golden import save_model
from golden.network.network import Network
from golden.quantization.quantize import quantize
from sim.backends.verilator import VerilatorTransport
from sim.stimulus import Stimulus
from tests.helpers.streams import generator

CONFIG = preset("tiny")


def connect(port: str) -> Device:
    """The smallest accelerator, simulated, whatever the port."""
    return Device(_transport(), CONFIG)


def connect_faulty(port: str) -> Device:
    """The same with a fault: the values of its events are off by one."""
    transport = _transport()
    receive = transport.receive

    def spoilt(count: int) -> np.ndarray:
        codes, indices, values = unpack(receive(count))
        return pack(codes, indices, np.where(codes == Reply.EVENT, values ^ 1 | 2, values))

    transport.receive = spoilt
    return Device(transport, CONFIG)


def _transport() -> VerilatorTransport:
    return VerilatorTransport(CONFIG, Stimulus(), Path("build/sim"))


def save(path: Path, inputs: int, outputs: int, config: dict, **options) -> Path:
    """A network with random weights and its integer model, as a file."""
    import torch

    torch.manual_seed(3)
    network = Network(inputs, 6, outputs, **options)
    x = generator(4).normal(size=(2, 20, inputs)).astype(np.float32)
    save_model(path, network, quantize(network, x), config)
    return path
