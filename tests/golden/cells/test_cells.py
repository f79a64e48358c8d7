"""Cells: another one is a class and an entry, from training to a model file."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from golden import load_model
from golden.cells import CELLS, Cell, find_cell
from golden.network.network import Network
from golden.network.word_network import WordNetwork
from golden.recipe import Recipe
from golden.training import Files, build
from tests.helpers.toy import Toy


class Plain(Cell):
    """torch.nn.RNN, which has no gates."""

    name = "rnn"
    title = "RNN"
    gates = 1

    def make(self, input_size, hidden_size, num_layers=1, **options):
        return nn.RNN(input_size, hidden_size, num_layers, batch_first=True, **options)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_parameter_shapes_are_the_modules(name, layers):
    cell = find_cell(name)
    module = cell.make(3, 5, layers)
    found = {name: tuple(value.shape) for name, value in module.named_parameters()}
    expected = {}
    for layer, inputs in enumerate([3, 5][:layers]):
        for parameter, shape in cell.parameter_shapes(inputs, 5).items():
            expected[f"{parameter}_l{layer}"] = shape
    assert found == expected


def test_another_cell_trains_and_is_saved_and_loaded(monkeypatch, tmp_path, toy):
    monkeypatch.setitem(CELLS, "rnn", Plain())
    files = Files(tmp_path / "rnn.safetensors")
    build(Toy(), Recipe(cell="rnn", hidden_size=4, epochs=1), files)
    model = load_model(files.model)
    assert model.integer is None
    network = model.network()
    assert isinstance(network.rnn, nn.RNN)
    assert network(torch.zeros(2, 6, 2)).shape == (2, 2)
    assert WordNetwork(7, 4, 5, cell="rnn")(torch.zeros(1, 3, dtype=torch.long)).shape == (1, 3, 7)


def test_a_cell_that_is_not_there_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="cell must be one of egru, gru, lstm, not 'transformer'"):
        Network(1, 2, 3, cell="transformer")


def test_cells_are_listed_without_torch():
    code = (
        "import sys, json; from golden.cells import CELLS; "
        "print(json.dumps([list(CELLS), 'torch' in sys.modules]))"
    )
    found = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert json.loads(found) == [["egru", "gru", "lstm"], False]
