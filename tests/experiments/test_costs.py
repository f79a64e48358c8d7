"""Costs of running a network, compared with a slow count and with NeuroBench."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from experiments.results.costs import Costs, costs, integer_footprint
from golden import Network, QuantizeConfig, quantize
from golden.tasks import Split

INPUTS, UNITS, CLASSES, STEPS, COUNT = 3, 7, 4, 9, 5


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def make(cell: str, readout: str = "mean", layers: int = 1) -> tuple[Network, Split]:
    """A network with biases, and inputs about a third of which are 0."""
    torch.manual_seed(3)
    network = Network(INPUTS, UNITS, CLASSES, layers, cell=cell, readout=readout)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "bias" in name:
                parameter.normal_(0, 0.4)
        getattr(network, cell).weight_ih_l0[0, 1] = 0  # costs nothing
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(COUNT, STEPS, INPUTS)) * (rng.random((COUNT, STEPS, INPUTS)) > 0.3)
    return network.eval(), Split(inputs.astype(np.float32), np.zeros(COUNT, int))


def needed(network: Network, inputs: Tensor) -> tuple[Tensor, ...]:
    """Per layer, step by step: whether a unit fires or is near its threshold."""
    state, found = None, []
    egru = network.egru
    for step in inputs.unbind(1):
        (*events,), state = egru.run_layers(step[:, None], state)
        now = []
        for layer, y in enumerate(events):
            distance = state[1][layer] - egru.layer_parameters(layer)[4].clamp(0, 1)
            now.append((y[:, 0] != 0) | (distance.abs() < egru.surrogate_width))
        found.append(torch.stack(now))
    return torch.stack(found, 2).unbind(0)


@pytest.mark.parametrize("layers", [1, 2])
def test_backward_sparsity_is_of_silent_units_outside_the_window(layers):
    network, split = make("egru", layers=layers)
    network.egru.surrogate_width = 0.2
    found = costs(network, split, False)
    near = needed(network, torch.from_numpy(split.inputs))
    share = [1 - n.double().mean().item() for n in near]
    assert found.backward_sparsity == pytest.approx(share, abs=1e-12)
    assert 0.1 < found.backward_sparsity[0] < 0.9
    assert 0.1 < found.activity[0] < 1 - found.backward_sparsity[0]


def test_dense_cells_have_neither_sparsity():
    for cell in ("gru", "lstm"):
        found = costs(*make(cell), False)
        assert (found.activity, found.backward_sparsity) == ((1.0,), (0.0,))
        assert found.activation_sparsity == 0


def test_streams_are_counted_with_their_state(monkeypatch):
    monkeypatch.setattr("experiments.results.costs.STREAM_STEPS", 4)
    for cell in ("egru", "gru", "lstm"):
        network, split = make(cell, "steps")
        if cell == "egru":
            network.egru.threshold_l0.data.fill_(0.02)  # so that the carried state matters
        split = Split(split.inputs[:1], np.zeros((1, STEPS), int))
        assert costs(network, split, True) == costs(network, split, False)


def test_symbols_cost_accumulates_and_values_multiply_accumulates():
    network, _ = make("gru", "steps")
    symbols = Split(np.array([[0, 2, 1, 1]]), np.zeros((1, 4), int))
    found = costs(network, symbols, False)
    # One column of W a step, and one weight in it is 0 when symbol 1 is met.
    assert found.acs == 3 * UNITS - 2 / 4
    recurrent, gates = 3 * UNITS * UNITS * 3 / 4, UNITS * (3 - 1 / 4)
    assert found.macs == pytest.approx(recurrent + gates + CLASSES * UNITS)


def test_the_footprint_of_an_integer_model_is_that_of_its_bits():
    network, split = make("egru")
    weights = 3 * UNITS * (INPUTS + UNITS) + CLASSES * (UNITS + 1)
    for bits in (8, 4):
        integer = quantize(network, split.inputs, QuantizeConfig(weight_bits=bits))
        assert integer_footprint(integer) == weights * bits // 8 + UNITS * (4 + 1) * 2


def test_several_layers_of_a_dense_cell_are_rejected():
    with pytest.raises(ValueError, match="costs of 2 layers of gru cannot be counted"):
        costs(*make("gru", layers=2), False)


# ---- NeuroBench -------------------------------------------------------------------------------


class Events(nn.Module):
    """The identity, whose outputs NeuroBench counts as activations."""

    def forward(self, y: Tensor) -> Tensor:
        return y


class Unrolled(nn.Module):
    """The same network, made of layers that NeuroBench knows, and run step by step."""

    def __init__(self, network: Network):
        super().__init__()
        self.cell = network.config["cell"]
        self.events, self.readout = Events(), network.readout
        layer = getattr(network, self.cell)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        values = {name: getattr(layer, f"{name}_l0") for name in names}
        if self.cell == "egru":
            self.threshold = layer.threshold_l0
            self.w, self.r = nn.Linear(INPUTS, 3 * UNITS), nn.Linear(UNITS, 3 * UNITS)
            pairs = {"weight": values["weight_ih"], "bias": values["bias_ih"]}
            self.w.load_state_dict(pairs)
            self.r.load_state_dict({"weight": values["weight_hh"], "bias": values["bias_hh"]})
        else:
            self.step = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}[self.cell](INPUTS, UNITS)
            self.step.load_state_dict(values)

    def forward(self, x: Tensor) -> Tensor:
        y, h = torch.zeros(2, len(x), UNITS)
        outputs = []
        for now in x.unbind(1):
            if self.cell == "egru":
                p, q = self.w(now).chunk(3, 1), self.r(y).chunk(3, 1)
                r, z = torch.sigmoid(p[0] + q[0]), torch.sigmoid(p[1] + q[1])
                c = torch.lerp(torch.tanh(p[2] + r * q[2]), h, z)
                fires = c > self.threshold.clamp(0, 1)
                y, h = fires * c, c - fires * self.threshold.clamp(0, 1)
            elif self.cell == "gru":
                y = self.step(now, y)
            else:
                y, h = self.step(now, (y, h))
            outputs.append(self.events(y))
        return self.readout(torch.stack(outputs, 1).mean(1))


@pytest.mark.filterwarnings("default")  # third-party code
@pytest.mark.parametrize("cell", ["egru", "gru", "lstm"])
def test_neurobench_counts_the_same(cell):
    models = pytest.importorskip("neurobench.models")
    from neurobench.metrics.static import Footprint, ParameterCount
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations

    network, split = make(cell)
    ours: Costs = costs(network, split, False)
    inputs = torch.from_numpy(split.inputs)
    with torch.no_grad():
        expected = network(inputs)
        model = models.TorchModel(Unrolled(network))
        model.add_activation_module(Events)
        model.register_hooks()
        logits = model(inputs)
        assert torch.allclose(logits, expected, atol=1e-6)
        data = (inputs, torch.zeros(COUNT))
        theirs = SynapticOperations()(model, logits, data)
        sparsity = ActivationSparsity()(model, logits, data)
    assert Footprint()(model) == ours.footprint
    assert ParameterCount()(model) == ours.parameters
    assert sparsity == pytest.approx(ours.activation_sparsity, abs=1e-12)

    dense, effective = theirs["Dense"], theirs["Effective_MACs"]
    if cell == "egru":  # no layer that it knows has the products of gates and states
        dense += 3 * UNITS * STEPS
        effective += 3 * UNITS * STEPS - UNITS
    if cell == "lstm":  # it leaves out products with the first state, which is zero
        dense += 4 * UNITS * UNITS + UNITS
    assert ours.dense * STEPS == pytest.approx(dense, abs=1e-9)
    assert ours.macs * STEPS == pytest.approx(effective, abs=1e-9)
    assert (ours.acs, theirs["Effective_ACs"]) == (0, 0)
