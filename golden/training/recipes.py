"""Everything that, with the task and its data, determines a trained network."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from typer import Option

LARGEST_SEED = 2**63 - 1  # that torch takes
MOST_THREADS = 1024
Threads = Annotated[int, Option(min=1, max=MOST_THREADS, help="Processor threads.")]


def _share(text: str) -> object:
    return Option(min=0.0, max=1.0, help=text)


def _positive(text: str) -> object:
    return Option(min=0.0, help=text)


def _whole(text: str) -> object:
    return Option(min=1, help=text)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train; each field is an option of the training command, described there.

    The learning rate is one-cycle's, the optimiser AdamW, which spares thresholds the decay.
    Activity is the share of units with an event, over all layers and steps.
    """

    model: Annotated[
        Literal["egru", "gru", "lstm"], Option(help="EGRU, or torch.nn's GRU or LSTM beside it.")
    ] = "egru"
    hidden: Annotated[int, _whole("Units per layer.")] = 128
    layers: Annotated[int, _whole("Stacked layers.")] = 1
    embedding: Annotated[
        int | None,
        _whole("Size of a symbol's embedding, tied with the read-out; symbols are one-hot without"),
    ] = None
    epochs: Annotated[int, _whole("Passes over the data, at most.")] = 100
    patience: Annotated[
        int | None,
        _whole(
            "Hold a validation set out, stop after that many epochs without a better loss on it, "
            "and keep the best; without, train on everything and keep the last."
        ),
    ] = None
    seed: Annotated[int, Option(min=0, max=LARGEST_SEED, help="Same seed, same model.")] = 0
    limit: Annotated[
        int | None, _whole("Use only that many training sequences, or symbols of a stream.")
    ] = None
    batch: Annotated[int, _whole("Sequences, or streams, per update.")] = 100
    window: Annotated[int, _whole("Steps of a stream per update (truncated BPTT).")] = 100
    rate: Annotated[float, _positive("Peak learning rate.")] = 6e-3
    weight_decay: Annotated[float, _positive("Of AdamW.")] = 1e-2
    clip: Annotated[float, _positive("Largest norm of a gradient, 0 for any.")] = 1.0
    target_activity: Annotated[float, _share("Activity above which there is a price, at last.")] = (
        0.1
    )
    start_activity: Annotated[float, _share("The same at the start ...")] = 0.35
    target_from: Annotated[
        float, _share("... until this share of the epochs; it then falls ...")
    ] = 0.1
    target_until: Annotated[float, _share("... by equal factors until this share of them.")] = 0.6
    activity_price: Annotated[float, _positive("Added to the loss for the excess.")] = 4.0
    surrogate_height: Annotated[float, _positive("Of the threshold's derivative.")] = 1.0
    surrogate_width: Annotated[float, _positive("Of the threshold's derivative, one side.")] = 0.5
    threshold_mean: Annotated[float, _share("Of the thresholds drawn at the start.")] = 0.3
    update_bias: Annotated[
        float, Option(help="Of an EGRU's update gate at the start; high for a long memory.")
    ] = 0.0
    forget_bias: Annotated[
        float, Option(help="Of an LSTM's forget gate at the start; high for a long memory.")
    ] = 0.0
    dropout: Annotated[float, _share("Of events between layers; with an embedding, of all.")] = 0.0
    word_dropout: Annotated[float, _share("Of whole words, with an embedding.")] = 0.0
    drop_connect: Annotated[float, _share("Of an EGRU's recurrent weights.")] = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(
                    f"--{name.replace('_', '-')} is {value}: a finite number is wanted"
                )


# By the name that a task's ``recipe`` gives. The target falls slowly: units that are silenced
# before they have learnt anything stay silent.
RECIPES: dict[str, Recipe] = {
    "mnist1d": Recipe(epochs=360, target_activity=0.108, target_until=0.7, activity_price=2.0),
    "delay-copy": Recipe(
        epochs=40,
        batch=16,
        activity_price=0.0,
        surrogate_width=0.3,
        threshold_mean=0.01,
        update_bias=2.0,
    ),
    "digits": Recipe(epochs=80, batch=50, rate=4e-3, target_activity=0.085),
    "smnist": Recipe(
        epochs=60,
        rate=1e-2,
        target_activity=0.14,
        activity_price=1.0,
        surrogate_width=1.0,
        threshold_mean=0.05,
        update_bias=-1.0,
    ),
    # As far as an hour on one core goes: fewer epochs, and a memory for 784 steps.
    "smnist-pixels": Recipe(
        epochs=30,
        rate=7e-3,
        target_activity=0.14,
        activity_price=1.0,
        surrogate_width=0.3,
        threshold_mean=0.01,
        update_bias=4.0,
    ),
    "charlm": Recipe(
        hidden=256,
        epochs=8,
        batch=32,
        window=64,
        rate=2e-2,
        weight_decay=0.1,
        target_activity=0.195,
        activity_price=0.5,
        surrogate_width=1.0,
        threshold_mean=0.05,
        update_bias=-1.0,
    ),
    "wordlm": Recipe(
        hidden=1350,
        layers=3,
        embedding=750,
        epochs=200,
        patience=20,
        batch=64,
        window=70,
        rate=1e-3,
        weight_decay=1e-5,
        clip=0.25,
        target_activity=0.2,
        surrogate_width=0.28,
        threshold_mean=0.01,
        dropout=0.4,
        word_dropout=0.1,
        drop_connect=0.5,
    ),
    "dvsgesture": Recipe(hidden=512, epochs=100, patience=20, batch=32, rate=1e-3),
    "shd": Recipe(hidden=256, epochs=60, patience=15, batch=64, rate=2e-3),
}

# What another model than the EGRU does better with, so that each is compared at its best.
OTHER_MODELS: dict[tuple[str, str], dict[str, Any]] = {
    ("delay-copy", "lstm"): {"forget_bias": 2.0},
    ("smnist", "gru"): {"rate": 6e-3},
    ("smnist", "lstm"): {"rate": 6e-3},
    ("smnist-pixels", "gru"): {"rate": 2e-3, "forget_bias": 3.0},  # which a GRU does without
    ("smnist-pixels", "lstm"): {"rate": 2e-3, "forget_bias": 3.0},
    ("charlm", "gru"): {"rate": 1e-2, "weight_decay": 1e-2},
    ("charlm", "lstm"): {"rate": 1e-2, "weight_decay": 1e-2},
}


def recipe_for(name: str, model: str | None) -> Recipe:
    """What an option that is left out is in a training of that model; None for the recipe's."""
    recipe = RECIPES[name]
    return replace(recipe, **OTHER_MODELS.get((name, model or recipe.model), {}))
