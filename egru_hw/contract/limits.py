"""How long a command can take."""

from egru_hw.contract.config import Config
from egru_hw.contract.protocol import address_bits
from egru_hw.contract.registers import global_registers, layer_registers

CYCLES_PER_WORD = 4
"""Of a READ, at most."""

UPDATE_LATENCY = 64
"""More cycles than pass between the last event of a layer's step and its first output."""


def longest_command(config: Config) -> int:
    """Cycles that any command takes at most, whatever registers and packets hold.

    Provided that the host accepts every reply at once, and that the weight store answers every
    cycle. A model that is loaded properly needs far fewer.
    """
    once, layer = global_registers(config), layer_registers(config)
    groups = 1 << layer["last_group"]
    events = groups * config.units_per_cycle
    rows = 2 * events << layer["pitch"]  # for the events from below and those of the layer itself
    update = groups + (events + 1 << once["readout_pitch"]) + UPDATE_LATENCY
    step = (rows + update) << once["last_layer"]
    return max(step, CYCLES_PER_WORD << address_bits(config))
