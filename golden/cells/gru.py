"""PyTorch's GRU, for comparison."""

from golden.cells.base import Cell


class GRUCell(Cell):
    """:class:`torch.nn.GRU`."""

    name = "gru"
    title = "GRU"
    gates = 3

    def make(self, input_size, hidden_size, num_layers=1, **options):
        from torch import nn

        return nn.GRU(input_size, hidden_size, num_layers, batch_first=True, **options)


CELL = GRUCell()
