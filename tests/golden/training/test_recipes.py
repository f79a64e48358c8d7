"""Recipes: what is trained with what, and what their options do."""

import json
from dataclasses import replace

import pytest
import torch

from golden.tasks import TASKS
from golden.training.loop import Files, make_network, target_activity, train
from golden.training.recipes import OTHER_MODELS, RECIPES, Recipe
from tests.helpers.toy import RECIPE, Toy, run

pytestmark = pytest.mark.usefixtures("toy")


def test_the_target_of_activity_falls_by_equal_factors_as_the_recipe_says(tmp_path):
    recipe = Recipe(
        epochs=10, start_activity=0.4, target_activity=0.1, target_from=0.2, target_until=0.6
    )
    targets = [target_activity(recipe, epoch) for epoch in range(10)]
    expected = [0.4, 0.4, 0.4, 0.4 / 2**0.5, 0.2, 0.2 / 2**0.5, 0.1, 0.1, 0.1, 0.1]
    assert targets == pytest.approx(expected)

    # Nothing is priced as long as all activity is allowed.
    free = replace(RECIPE, activity_price=0.0, epochs=4)
    priced = replace(free, activity_price=1.0, start_activity=1.0, target_activity=0.0,
                     target_from=0.3, target_until=0.9)  # fmt: skip
    courses = [
        [epoch.loss for epoch in train(Toy(), recipe, Files(tmp_path / "a"))[1]]
        for recipe in (free, priced)
    ]
    assert courses[0][:2] == courses[1][:2]  # epochs at 0 and 0.25
    assert courses[0][3] != courses[1][3]


def test_other_models_have_settings_of_their_own_which_options_override(tmp_path, monkeypatch):
    for model in ("gru", "lstm"):
        monkeypatch.setitem(OTHER_MODELS, ("toy", model), {"rate": 0.02, "hidden": 3})

    def training(*words) -> dict:
        assert run("toy", "--epochs", 1, "--out", tmp_path / "a", *words)[0] == 0
        return json.loads((tmp_path / "a.json").read_text())["training"]

    command = "python -m golden.training.build toy"
    for words, rate, hidden, rest in (
        ((), RECIPE.rate, RECIPE.hidden, " --epochs 1"),
        (("--model", "egru"), RECIPE.rate, RECIPE.hidden, " --epochs 1"),
        (("--model", "gru"), 0.02, 3, " --model gru --epochs 1"),
        (("--model", "lstm", "--rate", 0.1), 0.1, 3, " --model lstm --epochs 1 --rate 0.1"),
        (("--model", "gru", "--rate", 6e-3), 6e-3, 3, " --model gru --epochs 1 --rate 0.006"),
    ):
        found = training(*words)
        assert (found["rate"], found["hidden"]) == (rate, hidden)
        assert found["command"] == command + rest


def test_options_of_the_cell_are_those_of_the_network():
    options = {"surrogate_height": 0.9, "surrogate_width": 0.4, "threshold_mean": 0.2,
               "update_bias": -1.5, "drop_connect": 0.1}  # fmt: skip
    for recipe in (Recipe(), Recipe(**options)):
        config = make_network(Toy(), recipe).config
        for name in options:
            assert config[name] == getattr(recipe, name), name
    network = make_network(Toy(), Recipe(model="lstm", forget_bias=1.5))
    assert network.config["forget_bias"] == 1.5


def test_every_recipe_is_of_a_task_and_makes_a_network_for_it():
    tasks = [*TASKS.values(), replace(TASKS["smnist"], scan="pixels")]
    assert RECIPES.keys() == {task.recipe for task in tasks} >= {name for name, _ in OTHER_MODELS}
    assert tasks[-1].recipe == "smnist-pixels"
    for name in ("mnist1d", "delay-copy", "dvsgesture", "shd", "digits"):
        task, recipe = TASKS[name], RECIPES[name]
        network = make_network(task, recipe)
        logits = network(torch.zeros(2, 3, task.input_size))
        assert logits.shape == ((2, 3, 2) if name == "delay-copy" else (2, task.classes))
