"""What is no sound model is refused by every subcommand that takes one, with the same words."""

import json

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from golden import model_file
from golden.model_file import KEY, find
from tests.helpers.command import invoke


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda integer: integer.update(readout=None), "its configuration is incomplete"),
        (lambda integer: integer.update(input_fraction=10**5), "input_format must be"),
        (lambda integer: integer["readout"].update(fraction=-(10**5)), "readout.fraction must be"),
    ],
)
def test_an_unsound_model_is_refused_by_every_subcommand(change, sentence, tmp_path):
    path = tmp_path / "model.safetensors"
    with safe_open(find("mnist1d"), framework="numpy") as file:
        header = json.loads(file.metadata()[KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header["integer"])
    del header["checksum"]
    header["checksum"] = model_file._checksum(header, tensors)
    save_file(tensors, path, {KEY: json.dumps(header)})
    for words in (
        ("sim", path, "--out", tmp_path),
        ("bitstream", "--model", path, "--out", tmp_path),
        ("predict", path, path),
        ("eval", path),
        ("tune", path),
    ):
        result = invoke(*words)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: {path}: ")
        assert sentence in result.stderr
