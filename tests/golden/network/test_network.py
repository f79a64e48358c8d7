"""Networks of every cell and read-out: what they compute, and that model files keep them."""

import numpy as np
import pytest
import torch

import golden.evaluation
from golden import load_model, save_model
from golden.cells import CELLS
from golden.cells.event_gru import EGRU
from golden.evaluation import has_twin, score_network
from golden.model_file import ModelFileError
from golden.network.network import Network
from golden.network.word_network import WordNetwork
from golden.recipe import Recipe
from golden.tasks import Split, configure
from golden.training import Files, train
from tests.helpers.toy import run

NETWORKS = [
    *(lambda cell=cell: Network(3, 5, 4, 2, cell=cell, readout="steps") for cell in CELLS),
    *(lambda cell=cell: WordNetwork(7, 4, 5, cell=cell) for cell in CELLS),
]


@pytest.fixture(autouse=True)
def seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize("make", NETWORKS)
def test_a_sequence_in_parts_with_the_state_carried_equals_the_whole(make):
    network = make().eval()
    x = torch.randint(0, 3, (2, 9))
    whole, events, _ = network.run(x)
    assert whole.shape == (2, 9, network.config.get("outputs", 7))
    assert all(y.shape[:2] == (2, 9) for y in events)
    first, _, state = network.run(x[:, :4])
    second, _, _ = network.run(x[:, 4:], state)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-6)


@pytest.mark.parametrize("readout", ["mean", "steps", "last"])
def test_every_layers_events_are_there_and_the_last_ones_are_read_out(readout):
    network = Network(3, 5, 4, 2, readout=readout).eval()
    x = torch.randn(2, 9, 3)
    logits, events, _ = network.run(x)
    y, _ = network.egru(x)
    assert len(events) == 2
    assert torch.equal(events[1], y)
    assert not torch.equal(events[0], y)
    read = {"mean": y.mean(1), "steps": y, "last": y[:, -1]}[readout]
    assert torch.equal(logits, network.readout(read))


def test_symbols_are_seen_one_hot():
    network = Network(3, 5, 4, readout="steps")
    x = torch.randint(0, 3, (2, 9))
    assert torch.equal(network(x), network(torch.eye(3)[x]))


def test_the_word_network_reads_out_with_its_embedding():
    network = WordNetwork(7, 4, 5).eval()
    logits, events, _ = network.run(torch.tensor([[1, 2, 3]]))
    assert [y.shape[2] for y in events] == [5, 5, 4]
    assert torch.allclose(logits, events[-1] @ network.embedding.weight.T + network.bias)


def test_a_word_networks_dropout_has_one_mask_for_all_steps():
    network = WordNetwork(7, 40, 5, dropout=0.5)
    values = network._drop(torch.ones(2, 6, 40))
    assert torch.equal(values, values[:, :1].expand_as(values))
    assert set(values.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(values[0], values[1])
    assert torch.equal(network.eval()._drop(values), values)


@pytest.mark.parametrize("make", NETWORKS)
def test_networks_come_back_from_files_without_a_twin(make, tmp_path):
    network = make().eval()
    assert has_twin(network) == hasattr(network, "egru")
    path = tmp_path / "model"
    save_model(path, network, None, {"task": "none"})
    loaded = load_model(path)
    x = torch.randint(0, 3, (2, 9))
    assert torch.equal(loaded.network()(x), network(x))
    with pytest.raises(ModelFileError, match="holds a network without an integer model"):
        loaded.twin()


@pytest.mark.parametrize(("option", "value"), [("cell", "rnn"), ("readout", "sum")])
def test_unknown_cells_and_read_outs_rejected(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        Network(3, 5, 4, **{option: value})


@pytest.mark.parametrize("stream", [False, True])
def test_scores_are_those_of_all_scored_targets(stream, monkeypatch):
    monkeypatch.setattr(golden.evaluation, "WINDOW", 7)
    network = Network(3, 5, 4, readout="steps")
    inputs, targets = np.random.default_rng(0).integers(0, 3, (2, 250, 30))
    targets[:, ::3] = -1
    if stream:
        inputs, targets = inputs.reshape(1, -1), targets.reshape(1, -1)
    score = score_network(network, Split(inputs, targets), stream)
    assert network.training
    logits, events, _ = network.eval().run(torch.from_numpy(inputs))
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), torch.from_numpy(targets).flatten(), ignore_index=-1
    )
    assert score.targets == (targets >= 0).sum()
    assert score.loss == pytest.approx(loss.item(), rel=1e-5)
    assert score.activity[0] == pytest.approx((events[0] != 0).float().mean().item(), rel=1e-5)


@pytest.fixture
def words(tmp_path):
    folder = tmp_path / "words"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"{part}.txt").write_text("the cat sat on the mat\n" * 30)
    return folder


def test_a_word_model_learns_a_sentence(words, tmp_path):
    recipe = Recipe(
        hidden_size=12, num_layers=3, embedding_size=8, epochs=15, patience=15, batch_size=2,
        window=15, learning_rate=0.05,
        activity_price=0.0, surrogate_width=0.3, threshold_mean=0.01, drop_connect=0.1,
        dropout=0.1, word_dropout=0.05,
    )  # fmt: skip
    task = configure("wordlm", data=words)
    network, history = train(task, recipe, Files(tmp_path / "a"))
    assert isinstance(network, WordNetwork)
    assert history[0].validation_loss > 1.5
    assert score_network(network, task.test(), stream=True).loss < 1.0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: EGRU(1, 1, 10**9), "num_layers must be at most 100, not 1000000000"),
        (lambda: EGRU(1, 10**9), "hidden_size must be at most 8192, not 1000000000"),
        (
            lambda: EGRU(10**6, 100),
            "hidden_size 100 and input_size 1000000 give 300030700 parameters",
        ),
        (lambda: Network(1, 10**6, 2, cell="gru"), "hidden_size must be at most 8192, not 1000000"),
        (
            lambda: Network(1, 8192, 2, 100, cell="lstm"),
            "num_layers 100, hidden_size 8192 and input_size 1 give",
        ),
        (lambda: WordNetwork(100, 4, 5, 10**9), "num_layers must be at most 100, not 1000000000"),
        (
            lambda: WordNetwork(10**6, 1024, 5),
            "num_layers 3, hidden_size 5 and input_size 1024 give",
        ),
    ],
)
def test_networks_beyond_the_limits_rejected_before_they_take_memory(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_model_says_which_data_it_wants(words, tmp_path):
    path = tmp_path / "model"
    save_model(path, WordNetwork(99, 4, 5), None, {"task": "wordlm"})
    for arguments, sentence in (
        ([], "error: wordlm needs data: fetch Penn Treebank"),
        (["--data", words], "the data have 7 features or symbols a step where the model has"),
        (["--data", "nowhere"], "error: there is nothing at nowhere"),
    ):
        code, output = run("eval", path, *arguments)
        assert code == 2
        assert sentence in output
    code, output = run("predict", path, words / "x.npy")
    assert code == 2
    assert "holds a model of words, which takes no real numbers" in output
    code, output = run("sim", path)
    assert code == 2
    assert "holds a network without an integer model" in output


def test_the_forget_bias_raises_that_gate_s_bias_of_an_lstm_alone():
    torch.manual_seed(1)
    usual = Network(2, 5, 3, num_layers=2, cell="lstm")
    torch.manual_seed(1)
    raised = Network(2, 5, 3, num_layers=2, cell="lstm", forget_bias=1.5)
    for name, value in usual.state_dict().items():
        added = torch.zeros_like(value)
        if ".bias_ih" in name:
            added[5:10] = 1.5
        assert torch.equal(raised.state_dict()[name], value + added), name
