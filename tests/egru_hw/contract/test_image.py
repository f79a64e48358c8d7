"""Models as memory contents: where each weight and parameter lies, and what does not fit."""

from dataclasses import replace

import numpy as np
import pytest

from egru_hw.contract.config import PRESETS, preset
from egru_hw.contract.image import Image, build_image
from egru_hw.contract.protocol import PARAMETERS, VALUE_BITS, Command, Target, unpack, word_bits
from egru_hw.contract.registers import register_addresses
from egru_hw.host import commands
from golden.integer import SUMS
from sim.random_models import random_model
from tests.helpers.streams import generator

TINY = preset("tiny")
SMALL_85F = replace(preset("ulx3s-85f"), max_units=64)


def signed_field(word: int, position: int, bits: int) -> int:
    raw = (word >> (position * bits)) & ((1 << bits) - 1)
    return raw - (1 << bits) if raw >> (bits - 1) else raw


@pytest.mark.parametrize("config", [TINY, SMALL_85F], ids=["tiny", "96 lanes"])
def test_every_weight_lies_where_the_lanes_look_for_it(config):
    rng = generator(1)
    model = random_model(rng, 3, (7, 5), 3, density=0.9)
    image = build_image(model, config)
    addresses = register_addresses(config)
    registers = image.words[Target.REGISTERS]
    for number, layer in enumerate(model.layers):
        units = layer.hidden_size
        pitch = registers[addresses[number, "pitch"]]
        for base, matrix in (
            (registers[addresses[number, "input_base"]], layer.weight_input),
            (registers[addresses[number, "recurrent_base"]], layer.weight_recurrent),
        ):
            for (row, source), weight in np.ndenumerate(matrix):
                gate, unit = divmod(row, units)
                word, column = divmod(unit, config.columns)
                stored = image.words[Target.WEIGHTS][base + source * pitch + word]
                assert signed_field(stored, 3 * column + gate, config.weight_bits) == weight


@pytest.mark.parametrize("config", [TINY, SMALL_85F], ids=["tiny", "96 lanes"])
def test_every_unit_has_its_biases_and_threshold_and_padding_never_fires(config):
    rng = generator(2)
    model = random_model(rng, 3, (7, 5))
    image = build_image(model, config)
    addresses = register_addresses(config)
    bits = PARAMETERS.size
    for number, layer in enumerate(model.layers):
        first = image.words[Target.REGISTERS][addresses[number, "first_group"]]
        for unit in range(config.layer_groups(layer.hidden_size) * config.units_per_cycle):
            group, lane = divmod(unit, config.units_per_cycle)
            word = image.words[Target.PARAMETERS][first + group] >> (lane * bits)
            threshold = (word >> 64) & 0xFFFF
            if unit < layer.hidden_size:
                biases = [signed_field(word, n, 16) for n in range(len(SUMS))]
                assert biases == layer.bias[:, unit].tolist()
                assert threshold == layer.threshold[unit]
            else:
                assert threshold == 1 << 15


def test_the_stream_that_loads_an_image_carries_each_word_whole():
    rng = generator(3)
    image = build_image(random_model(rng, 3, (7,), 3), SMALL_85F)
    codes, indices, values = unpack(commands.load(image, SMALL_85F))
    loaded: dict[Target, list[int]] = {}
    for code, index, value in zip(codes, indices, values, strict=True):
        if code == Command.SELECT:
            target, chunks = Target(index), []
            assert value == 0
            loaded[target] = []
        else:
            assert code == Command.WRITE
            chunks.append(int(value) & 0xFFFFFFFF)
            if len(chunks) * 32 >= word_bits(SMALL_85F, target):
                loaded[target].append(sum(chunk << (32 * n) for n, chunk in enumerate(chunks)))
                chunks = []
    assert loaded == image.words


def test_the_digest_tells_models_and_every_word_of_theirs_apart():
    rng = generator(5)
    image = build_image(random_model(rng, 3, (7,), 3), TINY)
    changed = [
        Image(image.words | {target: [*words[:place], words[place] ^ 1, *words[place + 1 :]]})
        for target, words in image.words.items()
        for place in (0, len(words) - 1)
    ]
    digests = {one.digest for one in (image, *changed)}
    assert len(digests) == 1 + len(changed)
    assert all(0 < digest < 1 << VALUE_BITS for digest in digests)
    assert Image.empty().digest == 0


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ({"max_layers": 1}, "needs 2 layers, there are 1"),
        ({"max_inputs": 2}, "needs 3 inputs, there are 2"),
        ({"max_units": 10}, "needs 12 units .*, there are 10"),
        ({"max_outputs": 2}, "needs 3 outputs, there are 2"),
        ({"weight_rows": 50}, "needs 76 rows of weights, there are 50"),
        ({"weight_bits": 4}, "needs 8 bits per weight, there are 4"),
    ],
)
def test_models_that_do_not_fit_rejected(limit, sentence):
    model = random_model(generator(4), 3, (7, 5), 3)
    with pytest.raises(ValueError, match=sentence):
        build_image(model, replace(TINY, **limit))


def test_the_presets_that_a_model_fits_are_named():
    model = random_model(generator(4), 3, (150,), 3)
    fitting = [name for name in PRESETS if PRESETS[name].max_units >= 150]
    assert 0 < len(fitting) < len(PRESETS)
    with pytest.raises(ValueError, match=rf"\(presets that it fits: {', '.join(fitting)}\)"):
        build_image(model, TINY)
    with pytest.raises(ValueError, match=r"\(presets that it fits: none\)"):
        build_image(random_model(generator(4), 3, (300,), 3, density=0.1), TINY)
