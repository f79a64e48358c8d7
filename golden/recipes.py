"""Everything that, with the task and its data, determines a trained network."""

from dataclasses import dataclass
from typing import Annotated, Literal

from typer import Option


def _share(text: str) -> object:
    return Option(min=0.0, max=1.0, help=text)


def _positive(text: str) -> object:
    return Option(min=0.0, help=text)


def _whole(text: str) -> object:
    return Option(min=1, help=text)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train; each field is an option of ``python -m golden.train``, described there.

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
    seed: Annotated[int, Option(min=0, help="Same seed, same model.")] = 0
    limit: Annotated[
        int | None, _whole("Use only that many training sequences, or symbols of a stream.")
    ] = None
    batch: Annotated[int, _whole("Sequences, or streams, per update.")] = 100
    window: Annotated[int, _whole("Steps of a stream per update (truncated BPTT).")] = 100
    rate: Annotated[float, _positive("Peak learning rate.")] = 6e-3
    weight_decay: Annotated[float, _positive("Of AdamW.")] = 1e-2
    clip: Annotated[float, _positive("Largest norm of a gradient, 0 for any.")] = 1.0
    target_activity: Annotated[float, _share("Activity above which there is a price.")] = 0.1
    activity_price: Annotated[float, _positive("Added to the loss for the excess, at last.")] = 2.0
    price_from: Annotated[float, _share("Share of the epochs at which the price sets in ...")] = 0.2
    price_until: Annotated[float, _share("... and reaches its height.")] = 0.5
    surrogate_height: Annotated[float, _positive("Of the threshold's derivative.")] = 1.0
    surrogate_width: Annotated[float, _positive("Of the threshold's derivative, one side.")] = 0.5
    threshold_mean: Annotated[float, _share("Of the thresholds drawn at the start.")] = 0.3
    dropout: Annotated[float, _share("Of events between layers; with an embedding, of all.")] = 0.0
    word_dropout: Annotated[float, _share("Of whole words, with an embedding.")] = 0.0
    drop_connect: Annotated[float, _share("Of an EGRU's recurrent weights.")] = 0.0


# Activity is priced late: from the start it would silence units before they have learnt anything.
RECIPES: dict[str, Recipe] = {
    "mnist1d": Recipe(epochs=360, target_activity=0.18),
    "delay-copy": Recipe(hidden=64, epochs=150, batch=32, rate=5e-3, activity_price=0.5),
    "digits": Recipe(epochs=60, batch=60, rate=5e-3),
    "smnist": Recipe(epochs=30, target_activity=0.14, rate=5e-3),
    "charlm": Recipe(
        hidden=256,
        epochs=10,
        batch=32,
        rate=4e-3,
        target_activity=0.18,
        surrogate_width=0.3,
        threshold_mean=0.1,
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
