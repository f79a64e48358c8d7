"""``egru generate``: text from a language model, the same for the same seed."""

import numpy as np
import pytest

from golden import load_model
from tests.helpers.command import invoke
from tests.helpers.device import save

WORDS = ("generate", "charlm", "--on", "integer", "--length", 60)
CHARACTERS = load_model("charlm").config["symbols"]


def written(*words) -> str:
    result = invoke(*WORDS, *words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_seed_determines_the_text():
    texts = [written("--seed", seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert written() == texts[0]


def test_the_text_begins_with_the_prompt_and_has_the_length():
    text = written("--prompt", "ROMEO:\n")
    assert text.startswith("ROMEO:\n")
    assert len(text) == len("ROMEO:\n") + 60 + 1
    assert set(text) <= set(CHARACTERS)


def test_the_characters_follow_the_probabilities_of_the_model():
    """At temperature 0, against a run of the whole text at once."""
    text = written("--temperature", 0, "--prompt", "KING ")[:-1]
    model = load_model("charlm").integer
    inputs = np.eye(len(CHARACTERS))[[CHARACTERS.index(c) for c in text]]
    outputs = model.run(model.quantize_inputs(inputs[None])).outputs[0]
    assert text[5:] == "".join(CHARACTERS[k] for k in outputs.argmax(1)[4:-1])


def test_a_low_temperature_takes_the_most_probable_characters():
    assert written("--temperature", 1e-320) == written("--temperature", 0)


def test_a_high_temperature_makes_all_characters_equally_probable():
    result = invoke(*WORDS[:-1], 20000, "--temperature", 1e9)
    counts = [result.stdout.count(c) for c in CHARACTERS]
    assert abs(np.array(counts) / 20000 - 1 / 65).max() < 0.005


@pytest.mark.parametrize("seed", [0, 1])
def test_a_device_writes_the_same_text(device, tmp_path, seed):
    model = save(tmp_path / "m.safetensors", 8, 8, {"symbols": list("abcdefg ")}, readout="steps")
    words = ("generate", model, "--prompt", "a bad", "--length", 100, "--seed", seed)
    on_device = invoke(*words, "--port", "P")
    assert on_device.exit_code == 0, on_device.stderr
    assert on_device.stdout == invoke(*words, "--on", "integer").stdout
    assert len(set(on_device.stdout)) > 4


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--prompt", "caf\u00e9"),
            "--prompt has the character '\u00e9', which the model does not",
        ),
        (("--prompt", ""), "--prompt is empty: expected at least one character"),
        (("--port", "P"), "--port has no effect with --on integer"),
        (("--temperature", 0, "--seed", 1), "--seed has no effect with --temperature 0"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence):
    result = invoke(*WORDS, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {sentence}")


def test_another_kind_of_model_rejected():
    result = invoke("generate", "mnist1d", "--on", "integer")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "mnist1d.safetensors is no language model of characters: use" in result.stderr
