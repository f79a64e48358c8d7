"""State dicts of others: outputs against independent formulas in float64."""

import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from golden import load_model
from golden.foreign import network_of, read_state
from tests.helpers.streams import generator
from tests.helpers.toy import run


def evnn(inputs=3, units=5, outputs=2, layers=2) -> dict[str, torch.Tensor]:
    """A state dict with the names and shapes of EvNN's layers in a module list."""
    rng, state = generator(1), {}
    for layer in range(layers):
        shapes = {"kernel": (inputs if layer == 0 else units, 3 * units), "thr": (units,),
                  "recurrent_kernel": (units, 3 * units), "bias": (3 * units,),
                  "recurrent_bias": (3 * units,)}  # fmt: skip
        for name, shape in shapes.items():
            values = rng.uniform(-1.2, 1.2, shape)
            state[f"rnns.{layer}.{name}"] = torch.tensor(values)
        state[f"rnns.{layer}.thr"] = torch.tensor(rng.uniform(-0.3, 0.3, units))  # used clamped
        state[f"rnns.{layer}.dampening_factor"] = torch.tensor([0.6])
        state[f"rnns.{layer}.pseudo_derivative_support"] = torch.tensor([2.0])
        state[f"rnns.{layer}._max_norm"] = torch.tensor([-1.0])
    state["decoder.weight"] = torch.tensor(rng.normal(size=(outputs, units)))
    state["decoder.bias"] = torch.tensor(rng.normal(size=outputs))
    return state


def events_of_evnn(state, x) -> np.ndarray:
    """The last layer's events (N, T, H), by the published equations, one unit at a time."""

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    for layer in range(sum(name.endswith("thr") for name in state)):
        w, u, b, c, theta = (
            state[f"rnns.{layer}.{name}"].numpy()
            for name in ("kernel", "recurrent_kernel", "bias", "recurrent_bias", "thr")
        )
        units, theta = len(theta), np.minimum(np.maximum(theta, 0), 1)
        events = np.zeros((*x.shape[:2], units))
        for n in range(len(x)):
            h, y = np.zeros(units), np.zeros(units)
            for t in range(x.shape[1]):
                new_h, new_y = h.copy(), y.copy()
                for k in range(units):
                    z_at, r_at, g_at = k, units + k, 2 * units + k
                    p = [x[n, t] @ w[:, at] + b[at] for at in (z_at, r_at, g_at)]
                    q = [y @ u[:, at] + c[at] for at in (z_at, r_at, g_at)]
                    z, r = sigmoid(p[0] + q[0]), sigmoid(p[1] + q[1])
                    state_now = z * h[k] + (1 - z) * np.tanh(p[2] + r * q[2])
                    fires = state_now > theta[k]
                    new_y[k], new_h[k] = fires * state_now, state_now - fires * theta[k]
                h, y = new_h, new_y
                events[n, t] = y
        x = events
    return x


def test_a_network_of_evnn_computes_what_its_equations_say():
    state = evnn()
    network = network_of({n: v.numpy() for n, v in state.items()}, "steps").double()
    x = generator(2).normal(size=(3, 7, 3))
    events = events_of_evnn({n: v.float().double() for n, v in state.items()}, x)
    assert 0.05 < (events > 0).mean() < 0.9
    expected = events @ state["decoder.weight"].float().double().numpy().T
    expected += state["decoder.bias"].float().double().numpy()
    with torch.no_grad():
        found = network(torch.from_numpy(x)).numpy()
    assert np.allclose(found, expected, rtol=0, atol=1e-12)
    assert network.egru.surrogate_height == pytest.approx(0.6)
    assert network.egru.surrogate_width == pytest.approx(0.5)


class Theirs(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 6, **options), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0].mean(1))


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bias": False}])
def test_a_gru_gives_its_own_outputs(options):
    torch.manual_seed(3)
    theirs = Theirs(batch_first=True, **options).double()
    x = torch.from_numpy(generator(3).normal(size=(4, 6, 3)))
    state = {n: v.detach().numpy() for n, v in theirs.state_dict().items()}
    with torch.no_grad():
        assert torch.allclose(network_of(state, "mean")(x.float()), theirs(x).float(), atol=1e-6)


def data(folder):
    inputs = generator(4).normal(size=(60, 6, 3))
    np.savez(folder / "my.npz", inputs=inputs, targets=(inputs.mean((1, 2)) > 0).astype(int))
    return inputs


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_an_imported_model_is_evaluated_tuned_simulated_and_checked(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    inputs, state = data(tmp_path), evnn()
    path = tmp_path / f"theirs.{suffix}"
    if suffix == "pt":
        torch.save({"epoch": 3, "state_dict": state}, path)
    else:
        save_file(state, path)
    outputs = events_of_evnn(state, inputs[:4]).mean(1) @ state["decoder.weight"].numpy().T
    outputs += state["decoder.bias"].numpy()
    np.savez("expected.npz", inputs=inputs[:4], outputs=outputs)
    words = ("import", path, "--data", "my.npz", "--check", "expected.npz")
    code, output = run(*words)
    assert code == 0, output
    model = load_model(tmp_path / "runs" / "theirs.safetensors")
    assert np.allclose(model.predict(inputs[:4], "float").outputs, outputs, atol=1e-4)
    assert model.twin().hidden_sizes == (5, 5)
    assert run("import", *words[1:])[0] == 2  # the file exists
    np.savez("expected.npz", inputs=inputs[:4], outputs=outputs + 0.01)
    code, output = run(*words, "--out", "other.safetensors")
    assert code == 2
    assert "expected.npz: the network's outputs differ from these by up to 0.01" in output
    assert not (tmp_path / "other.safetensors").exists()
    assert run("eval", model.path, "--data", "my.npz")[0] == 0
    code, output = run("tune", model.path, "--data", "my.npz", "--epochs", 1)
    assert code == 0, output


def test_a_gru_has_no_integer_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data(tmp_path)
    torch.save(Theirs().state_dict(), "gru.pt")
    code, output = run("import", "gru.pt", "--data", "my.npz")
    assert code == 0, output
    model = load_model(tmp_path / "runs" / "gru.safetensors")
    assert model.integer is None
    assert "accuracy" in model.config["results"]


def without(*names):
    return {name: value for name, value in evnn().items() if name not in names}


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({}, "it has neither layers of EvNN's EGRU"),
        (without("rnns.1.bias"), "it has no tensor rnns.1.bias"),
        (without("decoder.weight"), "it has 0 linear maps of 5 values: expected one"),
        (evnn() | {"second.weight": torch.zeros(3, 5)}, "it has 2 linear maps of 5 values"),
        (evnn() | {"conv.weight": torch.zeros(3, 1, 5)}, "conv.weight belongs neither to the rec"),
        (evnn() | {"rnns.1.thr": torch.zeros(4)}, "has the shape"),
        (without("rnns.0.kernel") | {"rnns.0.kernel": torch.zeros(15)}, "has the shape (15,)"),
        (Theirs(bidirectional=True).state_dict(), "it has several directions"),
        (nn.ModuleList([nn.GRU(2, 3), nn.GRU(2, 3)]).state_dict(), "several recurrent modules"),
        (nn.LSTM(2, 3).state_dict(), "weight_hh_l0 has the shape (12, 3): expected (9, 3)"),
    ],
)
def test_other_state_dicts_rejected(state, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        network_of({name: value.numpy() for name, value in state.items()}, "mean")


def test_files_without_a_state_dict_rejected(tmp_path):
    torch.save(Theirs(), tmp_path / "module.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("text")
    (tmp_path / "text.safetensors").write_text("text")
    for name, sentence in (
        ("module.pt", "holds more than tensors, or is damaged: save the state dict alone"),
        ("text.pt", "holds more than tensors, or is damaged"),
        ("list.pt", "holds no state dict: expected tensors by name"),
        ("text.safetensors", "is not a readable safetensors file"),
        ("nowhere.pt", "there is no file"),
    ):
        with pytest.raises(ValueError, match=sentence):
            read_state(tmp_path / name)
