"""Recipes: every choice that, with the task and its data, determines a trained network."""

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import Field, dataclass, field, fields
from typing import Any, NamedTuple, Protocol, get_args

from golden.cells import CELLS, Cell
from golden.limits import LAYERS, UNITS

LARGEST_SEED = 2**63 - 1  # the largest that torch takes


class Trained(Protocol):
    """What choices depend on of a :class:`golden.tasks.Task`."""

    @property
    def stream(self) -> bool: ...

    @property
    def values(self) -> int | None: ...


class Need(NamedTuple):
    """What a choice has no effect without.

    Attributes:
        words: what the user must choose to meet it.
        is_met: whether a recipe meets it for a task.
    """

    words: str
    is_met: Callable[["Recipe", Trained], bool]


def _cell(is_met: Callable[[Cell], bool]) -> Need:
    names = [name for name, cell in CELLS.items() if is_met(cell)]
    return Need(f"--cell {' or '.join(names)}", lambda recipe, task: recipe.cell in names)


STREAM = Need("a language model as TASK", lambda recipe, task: task.stream)
CLASSES = Need("a TASK with classes", lambda recipe, task: task.values is None)
EMBEDDING = Need("--embedding-size", lambda recipe, task: recipe.embedding_size is not None)
STACK = Need("--num-layers 2 or more", lambda recipe, task: recipe.num_layers > 1)
HIDDEN = Need(
    "--num-layers 2 or more if there is an --embedding-size",
    lambda recipe, task: not EMBEDDING.is_met(recipe, task) or STACK.is_met(recipe, task),
)
BETWEEN = Need(
    f"{STACK.words} or {EMBEDDING.words}",
    lambda recipe, task: STACK.is_met(recipe, task) or EMBEDDING.is_met(recipe, task),
)
EVENTS = _cell(lambda cell: cell.emits_events)
PRICE = Need("--activity-price above 0", lambda recipe, task: recipe.activity_price > 0)
FALL = Need(
    "a --start-activity other than --target-activity",
    lambda recipe, task: recipe.start_activity != recipe.target_activity,
)
START = Need("--target-until above 0", lambda recipe, task: recipe.target_until > 0)
SURROGATE = Need("--surrogate-height above 0", lambda recipe, task: recipe.surrogate_height > 0)


def _choice(
    default: Any,
    help: str,
    *needs: Need,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Collection[str] | None = None,
) -> Any:
    """A field whose metadata are the help of its option, what it has no effect without, and the
    values it may have."""
    metadata = {"help": help, "needs": needs, "minimum": minimum, "maximum": maximum,
                "choices": choices}  # fmt: skip
    return field(default=default, metadata=metadata)


def _count(default: int | None, help: str, *needs: Need, maximum: int | None = None) -> Any:
    return _choice(default, help, *needs, minimum=1, maximum=maximum)


def _positive(default: float, help: str, *needs: Need) -> Any:
    return _choice(default, help, *needs, minimum=0.0)


def _share(default: float, help: str, *needs: Need) -> Any:
    return _choice(default, help, *needs, minimum=0.0, maximum=1.0)


def needs(choice: Field) -> list[Need]:
    """What a choice has no effect without. Options of a cell need that cell."""
    takers = [cell for cell in CELLS.values() if choice.name in cell.options]
    return [_cell(lambda cell: cell in takers)] * bool(takers) + [*choice.metadata["needs"]]


def kind(choice: Field) -> type:
    """The type of a field's values, without None."""
    return (get_args(choice.type) or (choice.type,))[0]


def _check(choice: Field, value: Any) -> None:
    expected, limits = kind(choice), choice.metadata
    if value is None and type(None) in get_args(choice.type):
        return
    if choices := limits["choices"]:
        if value not in choices:
            raise ValueError(f"{choice.name} must be one of {', '.join(choices)}, not {value!r}")
        return
    numbers = int if expected is int else (int, float)
    low, high = limits["minimum"], limits["maximum"]
    if (
        not isinstance(value, numbers)
        or isinstance(value, bool)
        or (isinstance(value, float) and not math.isfinite(value))
        or (low is not None and value < low)
        or (high is not None and value > high)
    ):
        what = "a whole number" if expected is int else "a finite number"
        least = "" if low is None else f" of at least {low}"
        most = "" if high is None else f" and at most {high}"
        raise ValueError(f"{choice.name} must be {what}{least}{most}, not {value!r}")


@dataclass(frozen=True, kw_only=True)
class _Choices:
    def __post_init__(self) -> None:
        for choice in fields(self):
            _check(choice, getattr(self, choice.name))


@dataclass(frozen=True, kw_only=True)
class Recipe(_Choices):
    """How to train a network.

    Each field is an option of ``egru train``, whose help is in the field's metadata. The
    optimiser is AdamW with a one-cycle learning rate. Activity is the share of units that emit
    an event in a step, averaged over all layers and steps.

    Raises:
        ValueError: a value is out of range.
    """

    cell: str = _choice(
        "egru",
        "Recurrent cell: the EGRU, or PyTorch's GRU or LSTM for comparison.",
        choices=CELLS,
    )
    hidden_size: int = _count(128, "Units per layer.", HIDDEN, maximum=UNITS)
    num_layers: int = _count(1, "Number of stacked recurrent layers.", maximum=LAYERS)
    embedding_size: int | None = _count(
        None,
        "Size of the symbol embedding, which is tied to the read-out. Without it, symbols are "
        "one-hot.",
        STREAM,
        maximum=UNITS,
    )
    epochs: int = _count(100, "Maximum number of passes over the training data.")
    patience: int | None = _count(
        None,
        "Stop after this many epochs without a lower loss on a held-out validation set, and "
        "keep the best epoch. Without this option, train on all data and keep the last epoch.",
    )
    seed: int = _choice(
        0, "Random seed. The same seed gives the same model.", minimum=0, maximum=LARGEST_SEED
    )
    limit: int | None = _count(
        None,
        "Train on the first N sequences only. Of a stream, only the first N symbols are read for "
        "training, for validation and for the test.",
    )
    batch_size: int = _count(
        100, "Sequences per update, or number of parallel streams that a stream is split into."
    )
    window: int = _count(
        100, "Steps of a stream per update (truncated backpropagation through time).", STREAM
    )
    learning_rate: float = _positive(6e-3, "Peak learning rate of the one-cycle schedule.")
    weight_decay: float = _positive(1e-2, "Weight decay of AdamW. It does not apply to thresholds.")
    clip: float = _positive(1.0, "Maximum gradient norm. 0 disables clipping.")
    class_weights: str | None = _choice(
        None,
        "Weights of the classes in the training loss. Balanced: as much as each class is rarer "
        "than the average, so that all count alike. Metrics and test losses have no weights.",
        CLASSES,
        choices=("balanced",),
    )
    target_activity: float = _share(
        0.1,
        "Activity above which the penalty applies in the last epochs: share of units per step.",
        EVENTS,
        PRICE,
    )
    start_activity: float = _share(
        0.35,
        "Activity above which the penalty applies in the first epochs: share of units per step.",
        EVENTS,
        PRICE,
        START,
    )
    target_from: float = _share(
        0.1,
        "Fraction of the epochs after which the activity target starts to fall.",
        EVENTS,
        PRICE,
        FALL,
    )
    target_until: float = _share(
        0.6,
        "Fraction of the epochs after which the activity target reaches its final value.",
        EVENTS,
        PRICE,
        FALL,
    )
    activity_price: float = _positive(
        4.0, "Factor of the penalty for activity above the target. 0 disables the penalty.", EVENTS
    )
    surrogate_height: float = _positive(
        1.0, "Height of the triangular surrogate gradient of the EGRU's threshold."
    )
    surrogate_width: float = _positive(
        0.5,
        "Half-width of the triangular surrogate gradient of the EGRU's threshold.",
        SURROGATE,
    )
    threshold_mean: float = _share(0.3, "Mean of the EGRU's initial thresholds.")
    update_bias: float = _choice(
        0.0, "Initial bias of the EGRU's update gate. Higher values give a longer memory."
    )
    update_bias_spread: float = _positive(
        0.0,
        "Initial biases of the EGRU's update gate differ by up to this from the update bias, so "
        "that units have time constants from short to long.",
    )
    input_gain: float = _positive(
        1.0, "Factor of the EGRU's initial input weights. Tasks with few features need more."
    )
    recurrent_gain: float = _positive(
        1.0, "Factor of the EGRU's initial recurrent weights. Long sequences need less."
    )
    forget_bias: float = _choice(
        0.0, "Initial bias of the LSTM's forget gate. Higher values give a longer memory."
    )
    dropout: float = _share(
        0.0,
        "Probability of dropping an event between layers. With an embedding, embeddings and "
        "the last layer's events are dropped as well.",
        BETWEEN,
    )
    word_dropout: float = _share(
        0.0, "Probability of dropping all occurrences of a word.", EMBEDDING
    )
    drop_connect: float = _share(0.0, "Probability of dropping a recurrent weight of an EGRU.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_from > self.target_until:
            raise ValueError(
                f"target_from must be at most target_until, {self.target_until}, "
                f"not {self.target_from}"
            )

    def unmet(self, name: str, task: Trained) -> Need | None:
        """The first need of the choice ``name`` that is not met, if any."""
        wanted = needs(self.__dataclass_fields__[name])
        return next((need for need in wanted if not need.is_met(self, task)), None)

    def check_effect(self, names: Iterable[str], task: Trained) -> None:
        """Refuse choices without an effect.

        Args:
            names: of the choices that were made.
            task: what it is for.

        Raises:
            ValueError: naming one.
        """
        for name in names:
            if need := self.unmet(name, task):
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"{option} has no effect without {need.words}: leave it out")


@dataclass(frozen=True, kw_only=True)
class Tuning(_Choices):
    """How to continue training with quantised weights.

    Each field is an option of ``egru tune``; the rest is as in the recipe of the first training.

    Raises:
        ValueError: a value is out of range.
    """

    weight_bits: int = _choice(4, "Bits per weight.", minimum=2, maximum=8)
    epochs: int = _count(20, "Number of passes over the training data.")
    learning_rate: float = _positive(3e-3, "Peak learning rate of the one-cycle schedule.")
    seed: int = _choice(
        0, "Random seed. The same seed gives the same model.", minimum=0, maximum=LARGEST_SEED
    )
