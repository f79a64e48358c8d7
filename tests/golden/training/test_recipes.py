"""Recipes: their values, where they come from and what they do."""

import json
from dataclasses import fields, replace

import pytest
import torch

from golden.cells import CELLS
from golden.recipe import Recipe, Tuning, needs
from golden.tasks import TASKS
from golden.training import Files, train
from golden.training.command import train_command
from golden.training.loop import make_network, target_activity
from tests.helpers.toy import RECIPE, Toy, run

pytestmark = pytest.mark.usefixtures("toy")


def test_the_activity_target_falls_by_equal_factors(tmp_path):
    recipe = Recipe(
        epochs=10, start_activity=0.4, target_activity=0.1, target_from=0.2, target_until=0.6
    )
    targets = [target_activity(recipe, epoch) for epoch in range(10)]
    expected = [0.4, 0.4, 0.4, 0.4 / 2**0.5, 0.2, 0.2 / 2**0.5, 0.1, 0.1, 0.1, 0.1]
    assert targets == pytest.approx(expected)

    # There is no penalty as long as the target is 1.
    free = replace(RECIPE, activity_price=0.0, epochs=4)
    priced = replace(free, activity_price=1.0, start_activity=1.0, target_activity=0.0,
                     target_from=0.3, target_until=0.9)  # fmt: skip
    courses = [
        [epoch.loss for epoch in train(Toy(), recipe, Files(tmp_path / "a"))[1]]
        for recipe in (free, priced)
    ]
    assert courses[0][:2] == courses[1][:2]  # epochs at 0 and 0.25
    assert courses[0][3] != courses[1][3]


def test_other_cells_have_recipes_of_their_own_which_options_override(tmp_path, monkeypatch):
    other = replace(RECIPE, learning_rate=0.02, hidden_size=3)
    monkeypatch.setattr(Toy, "cell_recipes", {"gru": other, "lstm": other})

    def training(*words) -> dict:
        assert (
            run("train", "toy", "--epochs", 1, "--out", tmp_path / "a", "--overwrite", *words)[0]
            == 0
        )
        return json.loads((tmp_path / "a.json").read_text())["training"]

    command = "egru train toy"
    for words, rate, size, rest in (
        ((), RECIPE.learning_rate, RECIPE.hidden_size, " --epochs 1"),
        (("--cell", "egru"), RECIPE.learning_rate, RECIPE.hidden_size, " --epochs 1"),
        (("--cell", "gru"), 0.02, 3, " --cell gru --epochs 1"),
        (("--cell", "lstm", "--learning-rate", 0.1), 0.1, 3,
         " --cell lstm --epochs 1 --learning-rate 0.1"),
        (("--cell", "gru", "--learning-rate", 6e-3), 6e-3, 3,
         " --cell gru --epochs 1 --learning-rate 0.006"),
    ):  # fmt: skip
        found = training(*words)
        assert (found["learning_rate"], found["hidden_size"]) == (rate, size)
        assert found["command"] == command + rest


def test_options_of_the_cell_are_those_of_the_network():
    options = {"surrogate_height": 0.9, "surrogate_width": 0.4, "threshold_mean": 0.2,
               "update_bias": -1.5, "update_bias_spread": 0.5, "input_gain": 2.0,
               "recurrent_gain": 0.5, "drop_connect": 0.1}  # fmt: skip
    for recipe in (Recipe(), Recipe(**options)):
        config = make_network(Toy(), recipe).config
        for name in options:
            assert config[name] == getattr(recipe, name), name
    network = make_network(Toy(), Recipe(cell="lstm", forget_bias=1.5))
    assert network.config["forget_bias"] == 1.5


def test_the_recipe_of_every_task_makes_a_network_for_it():
    for name in ("mnist1d", "delay-copy", "dvsgesture", "shd", "digits"):
        task = TASKS[name]
        network = make_network(task, task.recipe_for())
        logits = network(torch.zeros(2, 3, task.input_size))
        assert logits.shape == ((2, 3, 2) if name == "delay-copy" else (2, task.classes))


def test_a_recipe_depends_on_the_task_s_options_and_on_the_cell():
    rows, pixels = TASKS["smnist"], replace(TASKS["smnist"], scan="pixels")
    assert (rows.recipe_for().epochs, pixels.recipe_for().epochs) == (60, 30)
    assert rows.recipe_for() == rows.recipe_for("egru") == rows.recipe
    assert pixels.recipe_for("gru") == replace(
        pixels.recipe, cell="gru", learning_rate=2e-3, forget_bias=3.0
    )
    assert TASKS["mnist1d"].recipe_for("lstm") == replace(TASKS["mnist1d"].recipe, cell="lstm")


LANGUAGE = "a language model as TASK"
WITHOUT_PRICE = ("toy", "--activity-price", 0)
IDLE = [
    (("toy", "--forget-bias", 1), "--cell lstm"),
    (("toy", "--cell", "gru", "--forget-bias", 1), "--cell lstm"),
    *(
        (("toy", "--cell", cell, f"--{name.replace('_', '-')}", value), "--cell egru")
        for cell in ("gru", "lstm")
        for name, value in {
            "surrogate_height": 0.7, "surrogate_width": 0.7, "threshold_mean": 0.2,
            "update_bias": 0.0, "update_bias_spread": 1.0, "input_gain": 2.0,
            "recurrent_gain": 0.5, "drop_connect": 0.1, "activity_price": 1.0,
            "start_activity": 0.3, "target_activity": 0.2, "target_from": 0.1, "target_until": 0.8,
        }.items()
    ),
    ((*WITHOUT_PRICE, "--start-activity", 0.4), "--activity-price above 0"),
    ((*WITHOUT_PRICE, "--target-activity", 0.2), "--activity-price above 0"),
    ((*WITHOUT_PRICE, "--target-from", 0.2), "--activity-price above 0"),
    ((*WITHOUT_PRICE, "--target-until", 0.7), "--activity-price above 0"),
    (("delay-copy", "--target-activity", 0.1), "--activity-price above 0"),
    (("toy", "--start-activity", 0.18, "--target-from", 0.2), "a --start-activity other than "),
    (("toy", "--target-from", 0, "--target-until", 0, "--start-activity", 0.2), "--target-until "),
    (("toy", "--surrogate-height", 0, "--surrogate-width", 1), "--surrogate-height above 0"),
    (("toy", "--window", 100), LANGUAGE),  # the default, but given
    (("toy", "--embedding-size", 4), LANGUAGE),
    (("toy", "--dropout", 0.1), "--num-layers 2 or more or --embedding-size"),
    (("toy", "--word-dropout", 0.1), "--embedding-size"),
    (("wordlm", "--num-layers", 1, "--hidden-size", 5), "--num-layers 2 or more if there is an"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "need"), IDLE)
def test_options_without_effect_rejected(words, need):
    code, output = run("train", *words)
    assert code == 2
    idle = [word for word in words if str(word).startswith("--")][-1]
    assert output.startswith(f"error: {idle} has no effect without {need}")
    assert output.endswith(": leave it out ")


def test_every_option_of_a_cell_is_a_choice_and_says_that_it_needs_the_cell():
    choices = {choice.name: choice for choice in fields(Recipe)}
    for cell in CELLS.values():
        for name in cell.options:
            assert f"--cell {cell.name}" in [need.words for need in needs(choices[name])]


def test_a_recipe_of_one_cell_keeps_what_only_another_uses_out_of_the_command():
    recipe = replace(RECIPE, cell="gru", surrogate_width=0.7, window=3, seed=2)
    assert train_command(Toy(), recipe) == "egru train toy --cell gru --seed 2"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"target_from": 0.7}, "target_from must be at most target_until, 0.6, not 0.7"),
        ({"cell": "rnn"}, "cell must be one of egru, gru, lstm, not 'rnn'"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"num_layers": 10**9}, "num_layers must be a whole number of at least 1 and at most 100"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 1, not 1.5"),
        ({"epochs": True}, "epochs must be a whole number of at least 1, not True"),
        (
            {"hidden_size": None},
            "hidden_size must be a whole number of at least 1 and at most 8192, not None",
        ),
        (
            {"dropout": 1.1},
            "dropout must be a finite number of at least 0.0 and at most 1.0, not 1.1",
        ),
        ({"clip": "1"}, "clip must be a finite number of at least 0.0, not '1'"),
        ({"update_bias": float("nan")}, "update_bias must be a finite number, not nan"),
        ({"seed": -1}, "seed must be a whole number of at least 0 and at most 9223372036854775807"),
    ],
)
def test_values_out_of_range_rejected(values, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        Recipe(**values)


def test_weights_wider_than_the_hardware_s_rejected():
    with pytest.raises(ValueError, match="weight_bits must be a whole number of at least 2 and at"):
        Tuning(weight_bits=9)
