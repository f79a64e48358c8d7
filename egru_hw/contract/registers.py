"""The registers that describe a model to the accelerator: ``Target.REGISTERS``."""

from amaranth.lib import data

from egru_hw.contract.config import Config, bits_for
from golden.integer import numerics

REGISTERS = {
    "last_layer": "Number of layers - 1.",
    "outputs": "Number of outputs of the read-out, K; 0 without a read-out.",
    "readout_pitch": "Words of READOUT per unit, ceil(K / readout_lanes), at least 1.",
    "bias_operand": "Factor by which the read-out's bias is multiplied in every step.",
    "report_events": "1: the replies to STEP include the step's EVENT replies; 0: STEP only.",
    "units": "Number of units in the layer, H.",
    "pitch": "Number of words of WEIGHTS per event, ceil(3 H / lanes).",
    "last_group": "Number of groups in the layer - 1, ceil(H / units_per_cycle) - 1.",
    "first_group": "Number of groups in all layers below.",
    "input_base": "Address in WEIGHTS of the first word of the input weights.",
    "recurrent_base": "Address in WEIGHTS of the first word of the recurrent weights.",
    "input_alignment": "Left shift of an input value before it is multiplied.",
    "recurrent_alignment": "Left shift of a recurrent event's value before it is multiplied.",
}
"""What each register means, for docs/interface.md."""


def global_registers(config: Config) -> dict[str, int]:
    """Name and width of the registers that exist once."""
    return {
        "last_layer": bits_for(config.max_layers),
        "outputs": bits_for(config.max_outputs + 1),
        "readout_pitch": bits_for(config.readout_pitch + 1),
        "bias_operand": numerics.OPERAND.width,
        "report_events": 1,
    }


def layer_registers(config: Config) -> dict[str, int]:
    """Name and width of the registers that each layer has."""
    return {
        "units": bits_for(config.max_units + 1),
        "pitch": bits_for(config.max_pitch + 1),
        "last_group": bits_for(config.groups),
        "first_group": bits_for(config.groups),
        "input_base": bits_for(config.weight_rows),
        "recurrent_base": bits_for(config.weight_rows),
        "input_alignment": bits_for(numerics.MAX_ALIGNMENT + 1),
        "recurrent_alignment": bits_for(numerics.MAX_ALIGNMENT + 1),
    }


def register_layout(config: Config) -> data.StructLayout:
    """The layout of all registers; ``layers`` is an array."""
    layer = data.StructLayout(layer_registers(config))
    return data.StructLayout(
        {**global_registers(config), "layers": data.ArrayLayout(layer, config.max_layers)}
    )


def register_addresses(config: Config) -> dict[str | tuple[int, str], int]:
    """Address in ``Target.REGISTERS`` of each global name and each (layer, name)."""
    names: list[str | tuple[int, str]] = list(global_registers(config))
    for layer in range(config.max_layers):
        names += [(layer, name) for name in layer_registers(config)]
    return {name: address for address, name in enumerate(names)}
