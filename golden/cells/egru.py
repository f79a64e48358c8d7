"""The event-based GRU."""

from typing import Any

from golden.cells.base import Cell


class EGRUCell(Cell):
    """:class:`golden.EGRU`."""

    name = "egru"
    title = "EGRU"
    gates = 3
    options = (
        "surrogate_height",
        "surrogate_width",
        "threshold_mean",
        "update_bias",
        "update_bias_spread",
        "input_gain",
        "recurrent_gain",
        "drop_connect",
    )
    emits_events = True

    def make(self, input_size, hidden_size, num_layers=1, **options):
        from golden.cells.event_gru import EGRU

        return EGRU(input_size, hidden_size, num_layers, batch_first=True, **options)

    def run(self, layers, x, state) -> tuple[tuple, Any]:
        return layers.run_layers(x, state)

    def parameter_shapes(self, inputs, units):
        return super().parameter_shapes(inputs, units) | {"threshold": (units,)}


CELL = EGRUCell()
