"""The configuration object, the packet format and the register map."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egru_hw.contract.config import PRESETS, Config, preset
from egru_hw.contract.protocol import (
    PACKET,
    VERSION,
    Target,
    config_from_words,
    config_words,
    pack,
    unpack,
    word_bits,
    word_depth,
)
from egru_hw.contract.registers import register_addresses, register_layout


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json_and_has_its_own_fingerprint(name):
    config = preset(name)
    again = Config.from_json(config.to_json())
    assert again == config
    assert again.fingerprint == config.fingerprint
    others = {other.fingerprint for other in PRESETS.values() if other != config}
    assert config.fingerprint not in others


@pytest.mark.parametrize("name", PRESETS)
def test_a_host_finds_the_configuration_in_the_words_of_the_device(name):
    config = preset(name)
    words = config_words(config)
    assert words[:2] == [config.fingerprint, VERSION]
    assert words[2:] == [getattr(config, field.name) for field in fields(Config)]
    assert len(words) == word_depth(config, Target.IDENTITY)
    assert config_from_words(words) == config


def test_words_of_another_version_rejected():
    words = config_words(preset("tiny"))
    words[1] += 1
    with pytest.raises(ValueError, match=f"has version {VERSION + 1} of the protocol"):
        config_from_words(words)


@pytest.mark.parametrize("place", [0, *range(2, 2 + len(fields(Config)))])
def test_damaged_words_rejected(place):
    words = config_words(preset("tiny"))
    words[place] *= 2
    with pytest.raises(ValueError, match="the accelerator's identity is damaged"):
        config_from_words(words)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lanes": 64}, "three times a power of two, not 64"),
        ({"lanes": 0}, "lanes must be a positive integer, not 0"),
        ({"lanes": 6.0}, "lanes must be a positive integer, not 6.0"),
        ({"units_per_cycle": 3}, "units_per_cycle must be a power of two"),
        ({"units_per_cycle": 4}, "at most lanes / 3"),
        ({"max_units": 15}, "max_units must be a multiple of lanes / 3 = 2, not 15"),
        ({"max_units": 8192}, "max_units must be at most 4096, not 8192"),
        ({"readout_lanes": 3}, "readout_lanes must be a power of two, not 3"),
        ({"weight_bits": 9}, "weight_bits must lie in 2 ... 8, not 9"),
    ],
)
def test_impossible_configurations_rejected(change, sentence):
    with pytest.raises(ValueError, match=sentence.replace("...", r"\.\.\.")):
        replace(preset("tiny"), **change)


def test_unknown_preset_rejected():
    with pytest.raises(ValueError, match=r"no preset 'ulx3s-99f'; use one of .*ulx3s-85f"):
        preset("ulx3s-99f")


@given(st.integers(0, 15), st.integers(0, 2**12 - 1), st.integers(-(2**31), 2**31 - 1))
def test_packets_keep_their_fields_and_lie_as_the_hardware_sees_them(code, index, value):
    packet = pack(code, index, value)
    assert tuple(int(field) for field in unpack(packet)) == (code, index, value)
    hardware = PACKET.from_bits(int(packet))
    assert (hardware.code, hardware.index, hardware.value) == (code, index, value % 2**32)


@pytest.mark.parametrize("name", PRESETS)
def test_every_register_has_an_address_and_every_address_a_register(name):
    config = preset(name)
    addresses = register_addresses(config)
    assert sorted(addresses.values()) == list(range(word_depth(config, Target.REGISTERS)))
    fields = register_layout(config).members
    layers = fields.pop("layers")
    expected = set(fields) | {
        (layer, field) for layer in range(layers.length) for field in layers.elem_shape.members
    }
    assert set(addresses) == expected


@pytest.mark.parametrize("name", PRESETS)
def test_the_largest_model_of_a_preset_can_be_addressed(name):
    config = preset(name)
    assert config.pitch(config.max_units) == config.max_pitch
    assert config.layer_groups(config.max_units) == config.groups
    assert word_bits(config, Target.WEIGHTS) == config.lanes * config.weight_bits
