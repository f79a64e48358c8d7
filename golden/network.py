"""An EGRU with a linear read-out: the sequence classifiers of this project."""

from torch import Tensor, nn

from golden.egru import EGRU, State


class Network(nn.Module):
    """EGRU layers, then a linear map of the mean over steps of the last layer's events.

    Args:
        input_size: features per step, C.
        hidden_size: units per layer, H.
        outputs: classes or regression targets, K.
        num_layers: stacked EGRU layers.
        options: further options of :class:`EGRU`, except ``batch_first`` (always on) and
            ``trace``.
    """

    def __init__(
        self, input_size: int, hidden_size: int, outputs: int, num_layers: int = 1, **options
    ):
        super().__init__()
        # What it takes to build this network again, device and dtype aside.
        self.config = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "outputs": outputs,
            "num_layers": num_layers,
        } | {name: value for name, value in options.items() if name not in ("device", "dtype")}
        self.egru = EGRU(input_size, hidden_size, num_layers, batch_first=True, **options)
        self.readout = nn.Linear(
            hidden_size, outputs, device=options.get("device"), dtype=options.get("dtype")
        )

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        """Logits (N, K) of sequences (N, T, C)."""
        return self.run(x, state)[0]

    def run(self, x: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """``(logits, y, state)``: also the last layer's events (N, T, H) and the last state."""
        y, state = self.egru(x, state)
        return self.readout(y.mean(1)), y, state
