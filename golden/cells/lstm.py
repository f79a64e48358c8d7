"""PyTorch's LSTM, for comparison."""

from golden.cells.base import Cell


class LSTMCell(Cell):
    """:class:`torch.nn.LSTM`, with ``forget_bias`` added to the initial bias of its forget gate."""

    name = "lstm"
    title = "LSTM"
    gates = 4
    options = ("forget_bias",)

    def make(self, input_size, hidden_size, num_layers=1, *, forget_bias=0.0, **options):
        import torch
        from torch import nn

        lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True, **options)
        with torch.no_grad():
            for name, bias in lstm.named_parameters():
                if name.startswith("bias_ih"):
                    bias[hidden_size : 2 * hidden_size] += forget_bias
        return lstm


CELL = LSTMCell()
