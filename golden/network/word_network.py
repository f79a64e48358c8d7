"""The paper's language model: an embedding, recurrent layers, and a read-out tied with it."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.cells import find_cell
from golden.network.network import LayerEvents, Network, without_padding


class WordNetwork(nn.Module):
    """Embedding, layers of H units of which the last has the embedding's size E, and logits that
    are products with the embeddings; regularised as by Merity et al., *Regularizing and
    optimizing LSTM language models*, ICLR 2018.

    Args:
        words: vocabulary size, K.
        embedding_size: E.
        hidden_size: units of every layer but the last, H.
        num_layers: the last one included.
        cell: name of a cell in :mod:`golden.cells`.
        dropout: of embeddings and layers' outputs, one mask for all steps of a sequence.
        word_dropout: probability of dropping all occurrences of a word in a batch.
        options: further options of the cell.
    """

    def __init__(
        self,
        words: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 3,
        cell: str = "egru",
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        **options: Any,
    ):
        super().__init__()
        self.config = {
            "words": words,
            "embedding_size": embedding_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "cell": cell,
            "dropout": dropout,
            "word_dropout": word_dropout,
        } | options
        self.cell = find_cell(cell)
        self.cell.check_size(embedding_size, hidden_size, num_layers, embedding_size, words)
        self.dropout, self.word_dropout = dropout, word_dropout
        self.embedding = nn.Embedding(words, embedding_size)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.bias = nn.Parameter(torch.zeros(words))
        sizes = [embedding_size, *[hidden_size] * (num_layers - 1), embedding_size]
        self.layers = nn.ModuleList(
            self.cell.make(inputs, units, **options) for inputs, units in pairwise(sizes)
        )

    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> Tensor:
        """Logits (N, T, K) of the words that follow the words (N, T)."""
        return self.run(x, state, lengths)[0]

    def run(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, LayerEvents, Any]:
        """``(logits, events, state)``: also each layer's events, and the state of all layers.
        ``lengths`` as in :meth:`golden.Network.run`."""
        weight = self.embedding.weight
        if self.training and self.word_dropout:
            weight = weight * F.dropout(weight.new_ones(len(weight), 1), self.word_dropout)
        values = self._drop(F.embedding(without_padding(x, lengths), weight))
        states = [None] * len(self.layers) if state is None else state
        events, last = [], []
        for layer, before in zip(self.layers, states, strict=True):
            (y,), after = self.cell.run(layer, values, before)
            values = self._drop(y)
            events.append(y)
            last.append(after)
        logits = F.linear(values, self.embedding.weight, self.bias)
        if lengths is not None:
            return logits, tuple(without_padding(y, lengths) for y in events), None
        return logits, tuple(events), tuple(last)

    def _drop(self, values: Tensor) -> Tensor:
        """Dropout with the same mask at all steps: ``values`` are (N, T, ·)."""
        if not (self.training and self.dropout):
            return values
        return values * F.dropout(torch.ones_like(values[:, :1]), self.dropout)


AnyNetwork = Network | WordNetwork
