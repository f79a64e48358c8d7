"""A model as the accelerator's memories hold it.

The same image is loaded over the host's stream, or built into a bitstream.
"""

import json
import zlib
from dataclasses import dataclass

import numpy as np

from egru_hw.contract.config import GATE_COUNT, PRESETS, Config
from egru_hw.contract.protocol import PARAMETERS, Target
from egru_hw.contract.registers import register_addresses
from golden.integer import SUMS, IntegerEGRU, IntegerLayer, numerics

LOADABLE = (Target.REGISTERS, Target.WEIGHTS, Target.PARAMETERS, Target.READOUT)
NEEDED = {
    "max_layers": "layers",
    "max_inputs": "inputs",
    "max_units": "units (in whole groups)",
    "max_outputs": "outputs",
    "weight_rows": "rows of weights",
    "weight_bits": "bits per weight",
}
"""The fields of a configuration that limit models, in words."""


@dataclass(frozen=True)
class Image:
    """Words of each target, from address 0."""

    words: dict[Target, list[int]]

    @property
    def digest(self) -> int:
        """32 bits that identify the model to a host, as ``Target.MODEL``: the CRC-32 of the words'
        JSON text, or 1 if that is 0; 0 for an empty image."""
        if not any(self.words.values()):
            return 0
        text = json.dumps({target.name: words for target, words in self.words.items()})
        return zlib.crc32(text.encode()) or 1

    @classmethod
    def empty(cls) -> "Image":
        return cls({target: [] for target in LOADABLE})


def build_image(model: IntegerEGRU, config: Config, report_events: bool = True) -> Image:
    """Lay ``model`` out for hardware of ``config``.

    ``report_events`` is whether the accelerator reports every event.
    ``ValueError`` names what does not fit, by how much, and the presets that it would fit.
    """
    _check_fit(model, config)
    registers: dict[str | tuple[int, str], int] = {
        "last_layer": model.num_layers - 1,
        "outputs": model.outputs,
        "readout_pitch": 1,
        "bias_operand": 0,
        "report_events": int(report_events),
    }
    weights: list[np.ndarray] = []
    parameters: list[np.ndarray] = []
    rows = groups = 0
    for number, layer in enumerate(model.layers):
        units = layer.hidden_size
        pitch = config.pitch(units)
        layer_groups = config.layer_groups(units)
        values = {
            "units": units,
            "pitch": pitch,
            "last_group": layer_groups - 1,
            "first_group": groups,
            "input_base": rows,
            "recurrent_base": rows + layer.input_size * pitch,
            "input_alignment": layer.input_alignment,
            "recurrent_alignment": layer.recurrent_alignment,
        }
        registers |= {(number, name): value for name, value in values.items()}
        for matrix in (layer.weight_input, layer.weight_recurrent):
            weights.append(_weight_rows(matrix, config))
        parameters.append(_parameter_words(layer, config))
        rows += (layer.input_size + units) * pitch
        groups += layer_groups

    readout_words: list[int] = []
    if model.readout is not None:
        pitch = -(-model.outputs // config.readout_lanes)
        registers |= {"readout_pitch": pitch, "bias_operand": model.readout.bias_operand}
        matrix = np.vstack([model.readout.weight.T, model.readout.bias])
        lanes = np.zeros((len(matrix), pitch * config.readout_lanes), np.int64)
        lanes[:, : model.outputs] = matrix
        readout_words = _pack(lanes.reshape(-1, config.readout_lanes), config.weight_bits)

    addresses = register_addresses(config)
    register_words = [0] * len(addresses)
    for name, value in registers.items():
        register_words[addresses[name]] = value
    return Image(
        {
            Target.REGISTERS: register_words,
            Target.WEIGHTS: _pack(np.vstack(weights), config.weight_bits),
            Target.PARAMETERS: _join(np.vstack(parameters), PARAMETERS.size),
            Target.READOUT: readout_words,
        }
    )


@dataclass(frozen=True)
class Sizes:
    """What :func:`needs` reads of a model, for one that does not exist yet."""

    input_size: int
    hidden_sizes: tuple[int, ...]
    outputs: int
    weight_bits: int


def needs(model: IntegerEGRU | Sizes, config: Config) -> dict[str, int]:
    """What ``model`` needs at least of each field of ``config`` that limits models.

    It depends on ``lanes`` and ``units_per_cycle`` of ``config`` alone.
    """
    input_sizes = (model.input_size, *model.hidden_sizes)
    return {
        "max_layers": len(model.hidden_sizes),
        "max_inputs": model.input_size,
        "max_units": sum(config.layer_groups(h) for h in model.hidden_sizes)
        * config.units_per_cycle,
        "max_outputs": model.outputs,
        "weight_rows": sum(
            (inputs + units) * config.pitch(units)
            for inputs, units in zip(input_sizes, model.hidden_sizes, strict=False)
        ),
        "weight_bits": model.weight_bits,
    }


def fits(model: IntegerEGRU | Sizes, config: Config) -> bool:
    """Whether hardware of ``config`` holds ``model``."""
    return not lack(model, config)


def _check_fit(model: IntegerEGRU, config: Config) -> None:
    if not (lacking := lack(model, config)):
        return
    name, needed, available = lacking
    fitting = [title for title, other in PRESETS.items() if fits(model, other)]
    raise ValueError(
        f"the model does not fit this accelerator: it needs {needed} {NEEDED[name]}, there are "
        f"{available} (presets that it fits: {', '.join(fitting) or 'none'})"
    )


def lack(model: IntegerEGRU | Sizes, config: Config) -> tuple[str, int, int] | None:
    """A field of ``config`` of which ``model`` needs more than there is: its name, and how many."""
    for name, needed in needs(model, config).items():
        if needed > (available := getattr(config, name)):
            return name, needed, available
    return None


def _weight_rows(matrix: np.ndarray, config: Config) -> np.ndarray:
    """(3H, sources) to rows of lanes: per source ``pitch`` rows, lane 3 * column + gate."""
    units, sources = matrix.shape[0] // GATE_COUNT, matrix.shape[1]
    padded = np.zeros((sources, config.pitch(units) * config.columns, GATE_COUNT), np.int64)
    padded[:, :units] = matrix.reshape(GATE_COUNT, units, sources).transpose(2, 1, 0)
    return padded.reshape(-1, config.lanes)


def _parameter_words(layer: IntegerLayer, config: Config) -> np.ndarray:
    """A row of ``units_per_cycle`` packed parameters for each group."""
    units = layer.hidden_size
    padded = config.layer_groups(units) * config.units_per_cycle
    bias = np.zeros((len(SUMS), padded), np.int64)
    bias[:, :units] = layer.bias
    # Units that only pad the last group have a threshold that no state reaches.
    threshold = np.full(padded, numerics.THRESHOLD_ONE, np.int64)
    threshold[:units] = layer.threshold
    words = [
        PARAMETERS.const(
            {"bias": dict(zip(SUMS, biases, strict=True)), "threshold": limit}
        ).as_bits()
        for *biases, limit in np.vstack([bias, threshold]).T.tolist()
    ]
    return np.array(words, dtype=object).reshape(-1, config.units_per_cycle)


def _pack(rows: np.ndarray, bits: int) -> list[int]:
    """Each row as one word, its first element in the lowest bits."""
    return _join(rows & ((1 << bits) - 1), bits)


def _join(rows: np.ndarray, bits: int) -> list[int]:
    words = []
    for row in rows.tolist():
        word = 0
        for element in reversed(row):
            word = word << bits | element
        words.append(word)
    return words
