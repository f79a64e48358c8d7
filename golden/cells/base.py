"""The interface of a recurrent cell."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

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
        """``(events, state)`` for inputs (N, T, C): outputs (N, T, H) of each layer, or, where
        the module returns no others, of the last layer; and the last state."""
        y, state = layers(x, state)
        return (y,), state

    def parameter_shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter of a layer, without the suffix of its name."""
        rows = self.gates * units
        return {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, units),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
