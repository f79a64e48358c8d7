"""Model files: what is written comes back, and anything else is refused in one sentence."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from golden import load_model, model_file, save_model
from golden.model_file import KEY, ModelFileError
from golden.network.network import Network
from sim.random_models import random_inputs, random_model

CONFIG = {"task": "none", "training": {"seed": 3}, "results": {"accuracy": 0.5}}


def example(layers: int = 2, outputs: int = 4):
    torch.manual_seed(3)
    network = Network(3, 5, outputs, layers, surrogate_width=0.5)
    rng = np.random.default_rng(3)
    return network, random_model(rng, 3, (5,) * layers, outputs, weight_bits=4)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "new" / "model.safetensors"
    save_model(path, *example(), CONFIG)
    return path


def damage(path: Path, change, checksum: bool = True) -> None:
    """Rewrite the file with ``change(tensors, header)`` applied, perhaps with its checksum."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()[KEY])
    tensors = load_file(path)
    change(tensors, header)
    if checksum:
        del header["checksum"]
        header["checksum"] = model_file._checksum(header, tensors)
    save_file(tensors, path, {KEY: json.dumps(header)})


def test_both_models_and_the_configuration_come_back(path):
    network, integer = example()
    loaded = load_model(path)
    assert loaded.config == CONFIG
    x = random_inputs(np.random.default_rng(0), 2, 9, 3)
    expected, found = integer.run(x), loaded.integer.run(x)
    assert all(map(np.array_equal, found.events, expected.events))
    assert np.array_equal(found.outputs, expected.outputs)
    assert (loaded.integer.weight_bits, loaded.integer.input_format) == (4, integer.input_format)
    assert np.array_equal(loaded.integer.logits([1], 2), integer.logits([1], 2))
    again = loaded.network()
    assert again.egru.surrogate_width == 0.5
    assert not again.training
    real = torch.randn(2, 9, 3)
    assert torch.equal(again(real), network(real))


def test_a_promise_of_one_hot_inputs_comes_back(tmp_path):
    network, integer = example()
    save_model(tmp_path / "model", network, dataclasses.replace(integer, one_hot=True), CONFIG)
    assert load_model(tmp_path / "model").integer.one_hot


def test_same_model_gives_the_same_bytes(path, tmp_path):
    other = tmp_path / "other"
    save_model(other, *example(), CONFIG)
    assert other.read_bytes() == path.read_bytes()


def test_integer_model_loads_without_torch(path):
    code = (
        "import sys, golden; model = golden.load_model(sys.argv[1]).integer; "
        "assert golden.IntegerEGRU is type(model); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)


def test_an_interrupted_write_keeps_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("golden.output.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(path, *example(1), CONFIG)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def broken_network(change):
    network, integer = example()
    with torch.no_grad():
        change(network)
    return network, integer, CONFIG


def deep(levels: int):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            (torch.compile(example()[0], backend="eager"), None, CONFIG),
            "must be a golden.Network or golden.WordNetwork, not OptimizedModule",
        ),
        (broken_network(lambda n: n.readout.bias.fill_(np.nan)), "float.readout.bias has values"),
        (broken_network(lambda n: n.double().readout.bias.fill_(1e300)), "float.readout.bias has"),
        ((*example(), None), "None where a dict was expected"),
        ((*example(), {"results": {"loss": np.nan}}), "Out of range float"),
        ((*example(), {"x": np.ones(2)}), "not JSON serializable"),
        ((*example(), {"x": deep(25)}), "not the expected JSON object"),
        ((*example(), {"x": deep(100_000)}), "recursion"),
        ((example()[0], example(1)[1], CONFIG), "1 layers where 2 were expected"),
        ((example()[0], random_model(np.random.default_rng(3), 3, (5, 5)), CONFIG), "no read-out"),
    ],
)
def test_what_could_not_be_loaded_is_not_written(tmp_path, arguments, words):
    path = tmp_path / "model"
    with pytest.raises(ModelFileError, match=words) as caught:
        save_model(path, *arguments)
    assert str(caught.value).startswith(f"{path} was not written, as it could not be read back: ")
    assert not path.exists()


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_missing_file_rejected(tmp_path):
    assert "there is no model file" in refusal(tmp_path / "none")
    assert "there is no model file" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"{}", bytes(8), b"\xff" * 64, b"hello " * 50],
)
def test_foreign_files_rejected(path, content):
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("keep", [4, 100, 0.5, -1])
def test_truncated_files_rejected(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if keep == 0.5 else keep])
    assert "not a readable safetensors file" in refusal(path)


def test_other_safetensors_files_rejected(path):
    save_file({"a": np.zeros(3)}, path)
    assert "no EGRU model" in refusal(path)


def test_other_metadata_rejected(path):
    for text in ("no json", "[]", "{}"):
        save_file(load_file(path), path, {KEY: text})
        assert "not the expected JSON object" in refusal(path)


@pytest.mark.parametrize("version", [1, 3, True, 2.0, None])
def test_another_version_rejected(path, version):
    damage(path, lambda tensors, header: header.update(version=version))
    assert f"has format version {version!r} where 2 was expected" in refusal(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, header: header["integer"].update(input_fraction=6),
        lambda tensors, header: header["integer"]["layers"][0].update(input_alignment=True),
        lambda tensors, header: header["config"]["results"].update(accuracy=1.0),
        lambda tensors, header: tensors["integer.layer1.weight_input"].__setitem__((0, 0), 1),
        lambda tensors, header: tensors["float.readout.bias"].__setitem__(0, 1.0),
        lambda tensors, header: header.pop("checksum"),
    ],
)
def test_what_was_edited_by_hand_rejected(path, change):
    damage(path, change, checksum=False)
    assert "has changed since it was written, as its checksum shows" in refusal(path)


@pytest.mark.parametrize("levels", [25, 500, 100_000])
def test_headers_nested_without_end_rejected(path, levels):
    save_file(load_file(path), path, {KEY: f'{{"a": {"[" * levels}{"]" * levels}}}'})
    assert "not the expected JSON object" in refusal(path)


@pytest.mark.parametrize(
    "name",
    ["float.egru.threshold_l1", "integer.layer1.bias", "integer.readout.bias"],
)
def test_damaged_tensors_rejected(path, name):
    original = path.read_bytes()
    for change, words in (
        (lambda tensor: None, f"the tensor {name} is missing"),
        (lambda tensor: tensor[:-1], "was expected"),
        (lambda tensor: tensor.astype(np.float64), "is float64 of"),
    ):
        path.write_bytes(original)

        def edit(tensors, header, change=change):
            tensors[name] = change(tensors[name])
            if tensors[name] is None:
                del tensors[name]

        damage(path, edit)
        assert words in refusal(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_rejected(path, value):
    def edit(tensors, header):
        tensors["float.readout.weight"] = tensors["float.readout.weight"].copy()
        tensors["float.readout.weight"][0, 0] = value

    damage(path, edit)
    assert "float.readout.weight has values that are NaN or infinite" in refusal(path)


def test_bfloat16_rejected(path):
    from safetensors.torch import save_file as save_torch

    save_torch({"a": torch.zeros(3, dtype=torch.bfloat16)}, path, {KEY: "{}"})
    refusal(path)


def test_tensors_that_belong_to_nothing_rejected(path):
    damage(path, lambda tensors, header: tensors.update(extra=np.zeros(1)))
    assert "the tensor extra does not belong to a model" in refusal(path)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("network",), None, "incomplete"),
        (("network", "outputs"), None, "outputs must be a whole number"),
        (("network", "num_layers"), "2", "num_layers must be a whole number of at least 1"),
        (("network", "num_layers"), -1, "num_layers must be a whole number of at least 1"),
        (("network", "hidden_size"), 5.0, "hidden_size must be a whole number of at least 1"),
        (("network", "cell"), ["egru"], "mistyped"),
        (("network", "num_layers"), 3, "is missing"),
        (("network", "colour"), "red", "colour"),
        (("config",), None, "incomplete or mistyped"),
        (("config",), [1], "mistyped"),
        (("config", "task"), ["mnist1d"], "where a str was expected"),
        (("config", "options"), [], "where a dict was expected"),
        (("config", "options"), {"data": "/"}, "the options contain the data path"),
        (("config", "training"), None, "where a dict was expected"),
        (("config", "symbols"), "ab", "where a list of strings was expected"),
        (("config", "symbols"), ["a", 1], "where a list of strings was expected"),
        (("network", "surrogate_width"), -1, "surrogate_width"),
        (("integer", "layers"), [], "0 layers where 2 were expected"),
        (("integer", "layers", 0, "input_alignment"), 12, "input_alignment must be"),
        (("integer", "weight_bits"), 3, "must lie in -3 ... 3"),
        (("integer", "input_fraction"), "6", "input_format must be"),
        (("integer", "input_fraction"), 10**5, "input_format must be"),
        (("integer", "readout"), None, "incomplete"),
        (("integer", "readout", "bias_operand"), -1, "bias_operand must be"),
        (("integer", "readout", "fraction"), 10**5, "readout.fraction must be"),
        (("integer", "readout", "fraction"), -(10**5), "readout.fraction must be"),
        (("config", "results"), [], "where a dict was expected"),
    ],
)
def test_damaged_configurations_rejected(path, keys, value, words):
    def edit(tensors, header):
        *outer, last = keys
        for key in outer:
            header = header[key]
        header[last] = value

    damage(path, edit)
    if keys[-1] in ("colour", "surrogate_width"):  # only the network itself can tell
        with pytest.raises(ModelFileError, match=words):
            load_model(path).network()
    else:
        assert words in refusal(path)
