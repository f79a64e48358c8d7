"""The interface of a recurrent cell."""

from abc import ABC, abstractmethod
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from golden.limits import LAYERS, PARAMETERS, UNITS

if TYPE_CHECKING:
    from torch import Tensor, nn


class Cell(ABC):
    """A recurrent cell with the parameter names of torch.nn's recurrent modules.

    Attributes:
        name: on the command line, in recipes and in model files.
        title: in tables and plots.
        gates: blocks of H rows in ``weight_ih_l0`` (gates * H, C) and ``weight_hh_l0``.
        options: the fields of :class:`golden.recipe.Recipe` that its module takes.
        emits_events: units are silent in most steps, so that activity can be penalised. Only
            such cells have an integer model.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    gates: ClassVar[int]
    options: ClassVar[tuple[str, ...]] = ()
    emits_events: ClassVar[bool] = False

    @abstractmethod
    def make(
        self, input_size: int, hidden_size: int, num_layers: int = 1, **options: Any
    ) -> "nn.Module":
        """Untrained layers, batch first, initialised from torch's global generator."""

    def run(self, layers: "nn.Module", x: "Tensor", state: Any) -> tuple[tuple["Tensor", ...], Any]:
        """``(events, state)`` for inputs (N, T, C): the outputs (N, T, H) of every layer, or only
        of the last if the module returns no others, and the final state."""
        y, state = layers(x, state)
        return (y,), state

    def check_size(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        last: int | None = None,
        words: int = 0,
    ) -> None:
        """Refuse sizes that are not positive integers or exceed :mod:`golden.limits`.

        Args:
            last: units of the last layer, if not ``hidden_size``.
            words: number of embeddings of ``input_size``, whose parameters count as well.

        Raises:
            ValueError: naming the size.
        """
        for name, value, most in (
            ("input_size", input_size, None),
            ("hidden_size", hidden_size, UNITS),
            ("num_layers", num_layers, LAYERS),
        ):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
            if most and value > most:
                raise ValueError(f"{name} must be at most {most}, not {value}")
        sizes = [input_size, *[hidden_size] * (num_layers - 1), last or hidden_size]
        shapes = [self.parameter_shapes(*pair).values() for pair in pairwise(sizes)]
        count = words * input_size + sum(prod(shape) for layer in shapes for shape in layer)
        if count > PARAMETERS:
            raise ValueError(
                f"num_layers {num_layers}, hidden_size {hidden_size} and input_size {input_size} "
                f"give {count} parameters, more than {PARAMETERS}: reduce hidden_size"
            )

    def parameter_shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        """The shapes of a layer's parameters, by name without suffix."""
        rows = self.gates * units
        return {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, units),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
