"""Random integer models and inputs for comparisons, each with knobs for the corners."""

import numpy as np

from egru_hw.contract.config import Config
from egru_hw.contract.image import build_image
from golden.integer import IntegerEGRU, IntegerLayer, IntegerReadout
from golden.integer.numerics import (
    ACCUMULATOR,
    BIAS,
    BIAS_SHIFT,
    EVENT,
    MAX_ALIGNMENT,
    THRESHOLD_ONE,
    VALUE_BITS,
    Format,
    weight_format,
)
from golden.readouts import READOUTS, readout_kind

DRIVES = ("mixed", "mixed", "firing", "saturating", "silent")
MOST_STEPS = 40


def random_case(
    rng: np.random.Generator, config: Config, sequences: int
) -> tuple[IntegerEGRU, np.ndarray]:
    """A model of any size that fits ``config``, and raw inputs (``sequences``, T, C) for it."""
    while True:
        layers = int(rng.integers(1, config.max_layers + 1))
        sizes = tuple(int(rng.integers(1, config.max_units // layers + 1)) for _ in range(layers))
        try:
            model = random_model(
                rng,
                int(rng.integers(1, config.max_inputs + 1)),
                sizes,
                outputs=int(rng.integers(1, config.max_outputs + 1)),
                weight_bits=int(rng.integers(2, config.weight_bits + 1)),
                density=float(rng.uniform(0.1, 1)),
                drive=str(rng.choice(DRIVES)),
                readout=str(rng.choice(list(READOUTS))),
            )
            build_image(model, config)
        except ValueError:  # an accumulator could overflow, or there are too many rows of weights
            continue
        steps = int(rng.integers(1, MOST_STEPS))
        density = rng.uniform(0, 0.5)
        return model, random_inputs(rng, sequences, steps, model.input_size, density)


def random_model(
    rng: np.random.Generator,
    input_size: int,
    hidden_sizes: tuple[int, ...],
    outputs: int = 0,
    weight_bits: int = 8,
    threshold: int | None = None,
    density: float = 1.0,
    drive: str = "mixed",
    readout: str = "mean",
) -> IntegerEGRU:
    """A valid model with weights over their full range.

    Args:
        threshold: one raw threshold for every unit (0 ... 2**15); drawn at random if omitted.
        density: share of weights that are not zero.
        drive: "mixed" for biases of up to ±1 and any alignment that fits; "silent" for a model
            that never fires; "firing" for one whose units all fire at every step (thresholds
            drawn up to 1/2); "saturating" for the largest weights, biases and alignments there
            are, which drive indices beyond both ends of the table.
        readout: name of the read-out's kind.
    """
    layers = []
    inputs, largest = input_size, 1 << (VALUE_BITS - 1)
    for size in hidden_sizes:
        layers.append(
            _random_layer(rng, inputs, size, largest, weight_bits, threshold, density, drive)
        )
        inputs, largest = size, EVENT.max
    linear = None
    if outputs:
        linear = IntegerReadout(
            weight=_weights(rng, (outputs, inputs), weight_bits, density, drive),
            bias=_weights(rng, (outputs,), weight_bits, 1.0, drive),
            fraction=int(rng.integers(0, 9)),
            bias_operand=1 << int(rng.integers(0, 13)),
            kind=readout_kind(readout),
        )
    input_format = Format(VALUE_BITS, int(rng.integers(0, VALUE_BITS)))
    return IntegerEGRU(tuple(layers), input_format, linear, weight_bits)


def random_inputs(
    rng: np.random.Generator, count: int, steps: int, input_size: int, density: float = 0.7
) -> np.ndarray:
    """(count, steps, input_size) raw inputs over the full 9-bit range, extremes included."""
    shape = (count, steps, input_size)
    values = rng.integers(-256, 256, shape)
    extreme = rng.random(shape) < 0.1
    values[extreme] = rng.choice([-256, 255], int(extreme.sum()))
    return values * (rng.random(shape) < density)


def _weights(rng, shape, bits, density, drive) -> np.ndarray:
    largest = weight_format(bits).max
    if drive == "saturating":
        values = rng.choice([-largest, largest], shape)
    else:
        values = rng.integers(-largest, largest + 1, shape)
    return values * (rng.random(shape) < density)


def _random_layer(rng, inputs, size, largest, bits, threshold, density, drive) -> IntegerLayer:
    weight_input = _weights(rng, (3 * size, inputs), bits, density, drive)
    weight_recurrent = _weights(rng, (3 * size, size), bits, density, drive)
    one = 1 << BIAS.fraction
    bias = rng.integers(-one, one + 1, (4, size))
    if drive == "saturating":
        bias = rng.choice([BIAS.min, -one, one, BIAS.max], (4, size))
    elif drive in ("silent", "firing"):
        # Nothing but the biases drives z, mostly open, and g, at one end of the table.
        weight_input[size:] = 0
        weight_recurrent[size:] = 0
        bias[1] = -2 * one
        bias[2] = BIAS.min if drive == "silent" else BIAS.max
        bias[3] = 0
    if threshold is None:
        thresholds = rng.integers(0, THRESHOLD_ONE + 1, size)
        if drive == "firing":
            thresholds //= 2
    else:
        thresholds = np.full(size, threshold)

    # Half of the room (less the bias) to each matrix: r and z add both.
    room = (ACCUMULATOR.max - (int(np.abs(bias).max()) << BIAS_SHIFT)) // 2
    input_alignment = _largest_alignment(weight_input, largest, room)
    recurrent_alignment = _largest_alignment(weight_recurrent, EVENT.max, room)
    if drive == "mixed":
        input_alignment = int(rng.integers(input_alignment + 1))
        recurrent_alignment = int(rng.integers(recurrent_alignment + 1))
    return IntegerLayer(
        weight_input, weight_recurrent, bias, thresholds, input_alignment, recurrent_alignment
    )


def _largest_alignment(weight: np.ndarray, largest: int, room: int) -> int:
    reach = int(np.abs(weight).sum(1).max(initial=0)) * largest
    if reach > room:
        raise ValueError("too many inputs for an accumulator: lower the density")
    return min(MAX_ALIGNMENT, (room // max(reach, 1)).bit_length() - 1)
