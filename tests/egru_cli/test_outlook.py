"""What is known of a network before it is trained."""

from dataclasses import replace

import pytest

from egru_cli.outlook import outlook
from egru_hw.contract.config import PRESETS
from egru_hw.contract.image import Sizes, build_image, needs
from egru_hw.contract.protocol import Target
from golden.recipe import Recipe
from golden.tasks import TASKS
from sim.random_models import random_model
from tests.helpers.streams import generator
from tests.helpers.toy import Toy, run


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_network_will_need_is_what_its_model_needs(name):
    rng = generator(1)
    model = random_model(rng, 5, (17, 9, 4), outputs=3, density=0.1)
    sizes = Sizes(5, (17, 9, 4), 3, 8)
    found = needs(sizes, PRESETS[name])
    assert found == needs(model, PRESETS[name])
    if name != "tiny":  # which is too small
        assert found["weight_rows"] == len(build_image(model, PRESETS[name]).words[Target.WEIGHTS])


def test_the_largest_network_without_a_note_is_the_largest_that_a_preset_holds():
    task = TASKS["mnist1d"]
    largest = max(n for n in range(1, 400) if not outlook(task, Recipe(hidden_size=n)))
    rng = generator(2)
    for units, holds in ((largest, True), (largest + 1, False)):
        model = random_model(rng, 1, (units,), outputs=10, density=0.05)
        found = []
        for config in PRESETS.values():
            try:
                found.append(build_image(model, config))
            except ValueError:
                continue
        assert bool(found) == holds
    assert outlook(task, Recipe(hidden_size=largest + 1)).startswith(
        "no preset of the accelerator holds this network: it needs "
    )


def test_networks_without_events_or_of_words_have_no_integer_model():
    recipe = replace(Toy().recipe, cell="gru")
    assert outlook(Toy(), recipe) == (
        "a network of gru cells has no integer model: it is trained and evaluated in float only"
    )
    words = TASKS["wordlm"].recipe
    assert outlook(TASKS["wordlm"], words).startswith("a network with an embedding has no ")


def test_the_note_comes_before_the_training_and_does_not_prevent_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{n},0,{n},{n % 2}\n" for n in range(30))
    (tmp_path / "my.csv").write_text(f"sequence,step,x,target\n{rows}")
    words = ("train", "--data", "my.csv", "--epochs", 1, "--hidden-size", 500)
    code, output = run(*words)
    assert code == 0
    assert output.startswith("note: no preset of the accelerator holds this network: it needs 5")
    assert (tmp_path / "runs" / "own-data.safetensors").exists()
