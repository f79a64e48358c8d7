"""The shipped models are what their files claim."""

import json
from pathlib import Path

import torch

from egru_hw import PRESETS, build_image
from golden import load_model
from golden.tasks import TASKS

SHIPPED = Path(__file__).parents[2] / "golden" / "models" / "mnist1d.safetensors"


def test_the_other_shipped_model_is_the_recorded_one():
    model = load_model(SHIPPED.with_name("digits.safetensors"))
    root = SHIPPED.parents[2]
    records = json.loads((root / "experiments" / "records" / "digits.json").read_text())
    record = records["digits-egru-0"]
    scores = [record["scores"][kind] for kind in ("float", "INT8")]
    assert model.config["results"]["accuracy"] == [score["metric"] for score in scores]
    assert model.config["training"]["command"] == record["command"]
    assert model.integer.weight_bits == 8


def test_the_language_model_fits_every_board_and_knows_its_characters():
    model = load_model(SHIPPED.with_name("charlm.safetensors"))
    assert model.integer.input_size == model.integer.outputs == len(model.config["symbols"])
    for name, config in PRESETS.items():
        if name != "tiny":
            build_image(model.integer, config)


def test_shipped_model_does_what_its_file_claims():
    model = load_model(SHIPPED)
    inputs, labels = TASKS[model.config["task"]].test()
    result = model.integer.run(model.integer.quantize_inputs(inputs))
    claims = model.config["results"]
    before, after = claims["accuracy"]
    assert (result.outputs.argmax(1) == labels).mean() == after
    assert result.activity[0] == claims["activity"][0][1]
    assert before >= 0.97
    assert after >= before - 0.005
    assert result.activity[0] <= 0.2
    with torch.no_grad():
        logits = model.network()(torch.from_numpy(inputs))
    # Rounding differs between machines: a threshold may be crossed here and not there.
    assert abs((logits.argmax(1).numpy() == labels).mean() - before) <= 0.002
