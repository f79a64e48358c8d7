"""The C++ core against PyTorch's operations, and as users of torch.nn.GRU expect it to behave."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from golden import core
from golden.cells.event_gru import EGRU
from golden.core import policy
from golden.core.operators import layer_forward
from tests.helpers import reference

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 80))
activities = st.sampled_from([0.0, 0.1, 0.5, 1.0])
choices = st.sampled_from(["auto", "dense", "sparse"])
extensions = core.vector_extensions()


@pytest.fixture(autouse=True)
def threads_restored():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@contextmanager
def settings_of_core(choice="auto", extension=extensions[0], rows=None):
    """Products, vector extension, and rows of a forward and a backward chunk (for several)."""
    with ExitStack() as stack:
        stack.enter_context(policy.forced(choice))
        stack.enter_context(core.use_vector_extension(extension))
        if rows:
            stack.enter_context(patch.multiple(policy, FORWARD_ROWS=rows[0], BACKWARD_ROWS=rows[1]))
        yield


def twins(seed, inputs, hidden, layers=1, dtype=torch.float64, **options):
    """The same network on the core and on PyTorch's operations, with lively weights."""
    print("seed", seed)
    torch.manual_seed(seed)
    pair = [EGRU(inputs, hidden, layers, backend=b, dtype=dtype, **options) for b in BACKENDS]
    with torch.no_grad():
        for name, parameter in pair[0].named_parameters():
            if "bias" in name:
                parameter.normal_(0, 0.5)
            elif "weight" in name:
                parameter.mul_(1.5)
    pair[1].load_state_dict(pair[0].state_dict())
    return pair


BACKENDS = ("core", "torch")


def events(rng, shape, activity):
    """Positive numbers, of which a share is not zero."""
    return torch.from_numpy(rng.random(shape) * (rng.random(shape) < activity))


def outputs_and_gradients(egru, x, state, rng_seed, used=None):
    """Everything a call returns, and the gradients of all leaves for random ones on that."""
    egru.zero_grad()
    leaves = [t.clone().requires_grad_() for t in (x, *state)]
    torch.manual_seed(rng_seed)  # of zoneout and the like
    y, last, *traces = egru(leaves[0], tuple(leaves[1:]))
    outputs = [y, *last, *traces]
    rng = np.random.default_rng(rng_seed)
    grads = [torch.from_numpy(rng.normal(size=tuple(o.shape))).to(o.dtype) for o in outputs]
    chosen = range(len(outputs)) if used is None else used
    torch.autograd.backward([outputs[i] for i in chosen], [grads[i] for i in chosen])
    found = {f"output {i}": o.detach() for i, o in enumerate(outputs)}
    found |= {f"leaf {i}": leaf.grad for i, leaf in enumerate(leaves)}
    return found | {name: p.grad for name, p in egru.named_parameters()}


def assert_equal(found, expected, tolerance=1e-10):
    for name, value in expected.items():
        if value is None:
            assert found[name] is None, name
            continue
        error = (found[name] - value).abs().max().item()
        assert error <= tolerance * max(1.0, value.abs().max().item()), (name, error)


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds, shape=shapes, layers=st.integers(1, 2), activity=activities, choice=choices,
    extension=st.sampled_from(extensions), training=st.booleans(),
    trace=st.booleans(), batch_first=st.booleans(), zoneout=st.sampled_from([0.0, 0.3]),
    drop=st.sampled_from([0.0, 0.4]), width=st.sampled_from([0.05, 0.5, 5.0]),
    threads=st.integers(1, 3), rows=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)  # fmt: skip
def test_core_equals_pytorch_operations_in_outputs_states_and_all_gradients(
    seed, shape, layers, activity, choice, extension, training, trace, batch_first, zoneout, drop,
    width, threads, rows,
):  # fmt: skip
    steps, count, inputs, hidden = shape
    pair = twins(
        seed, inputs, hidden, layers, trace=trace, batch_first=batch_first, zoneout=zoneout,
        dropout=drop, drop_connect=drop, surrogate_width=width,
    )  # fmt: skip
    torch.set_num_threads(threads)
    rng = np.random.default_rng(seed)
    x = events(rng, (steps, count, inputs), activity)
    state = [events(rng, (layers, count, hidden), 0.3), events(rng, (layers, count, hidden), 1)]
    if trace:
        state.append(events(rng, (count, hidden), 1))
    if batch_first:
        x = x.transpose(0, 1)
    with settings_of_core(choice, extension, rows):
        found, expected = (
            outputs_and_gradients(egru.train(training), x, state, seed) for egru in pair
        )
    assert_equal(found, expected)


@settings(max_examples=80, deadline=None)
@given(
    seed=seeds, shape=shapes, choice=choices, extension=st.sampled_from(extensions),
    where=st.integers(0, 7),
)  # fmt: skip
def test_nan_shows_in_outputs_where_it_does_with_pytorch_operations_and_in_gradients(
    seed, shape, choice, extension, where
):  # fmt: skip
    steps, count, inputs, hidden = shape
    pair = twins(seed, inputs, hidden)
    rng = np.random.default_rng(seed)
    x = events(rng, (steps, count, inputs), 0.3)
    state = [events(rng, (1, count, hidden), 0.3), events(rng, (1, count, hidden), 1)]
    places = [x, *state, *pair[0].parameters()]
    place = places[where]
    with torch.no_grad():
        place[np.unravel_index(rng.integers(place.numel()), place.shape)] = torch.nan
    pair[1].load_state_dict(pair[0].state_dict())
    every_call = patch.object(policy, "worth_checking", return_value=True)
    with settings_of_core(choice, extension), every_call:
        found, expected = (outputs_and_gradients(egru, x, state, seed) for egru in pair)
    for name in expected:
        if name.startswith("output"):
            assert torch.equal(found[name].isnan(), expected[name].isnan()), name
        elif name.startswith("bias"):
            assert found[name].isnan().any() == expected[name].isnan().any(), name


@pytest.mark.parametrize("extension", extensions)
@pytest.mark.parametrize("activity", [0.02, 0.3])
def test_core_equals_pytorch_operations_beyond_one_block_group_and_chunk(extension, activity):
    pair = twins(8, 150, 300, surrogate_width=0.3)
    rng = np.random.default_rng(8)
    x = events(rng, (5, 70, 150), activity)
    state = [events(rng, (1, 70, 300), activity), events(rng, (1, 70, 300), 1)]
    with settings_of_core("sparse", extension, (210, 140)):
        found, expected = (outputs_and_gradients(egru, x, state, 8) for egru in pair)
    assert_equal(found, expected)


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds, shape=shapes, activity=activities, choice=choices,
    extension=st.sampled_from(extensions),
)  # fmt: skip
def test_single_precision_is_near_the_float64_reference_off_the_thresholds(
    seed, shape, activity, choice, extension
):
    steps, count, inputs, hidden = shape
    egru = twins(seed, inputs, hidden, dtype=torch.float32)[0]
    rng = np.random.default_rng(seed)
    x = events(rng, (steps, count, inputs), activity).float()
    state = [torch.zeros(1, count, hidden)] * 2
    with settings_of_core(choice, extension):
        found = outputs_and_gradients(egru, x, state, seed)
    parameters = [p.detach().double().numpy() for p in egru.layer_parameters(0)]
    par = reference.Parameters(*parameters)
    zero = np.zeros((count, hidden))
    y, h, tape = reference.forward(par, x.double().numpy(), zero, zero)
    assume(min(np.abs(step[7] - par.threshold).min() for step in tape) > 1e-5)
    rng = np.random.default_rng(seed)
    dy, dlast, dh = (
        rng.normal(size=shape) for shape in (y.shape, (1, *h.shape), (1, *h.shape))
    )  # fmt: skip
    dy[-1] += dlast[0]
    gradients, dx, *_ = reference.backward(par, tape, dy, dh[0], 0.7, 1.0)
    expected = {"output 0": y, "leaf 0": dx}
    expected |= {f"{name}_l0": value for name, value in vars(gradients).items()}
    assert_equal(found, {n: torch.from_numpy(v) for n, v in expected.items()}, 1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("extension", extensions)
def test_results_are_the_same_bit_for_bit_in_every_run_and_for_any_threads(dtype, extension):
    egru = twins(4, 150, 300, 2, dtype=dtype)[0]
    rng = np.random.default_rng(4)
    x = events(rng, (12, 20, 150), 0.2).to(dtype)
    state = [torch.zeros(2, 20, 300, dtype=dtype)] * 2
    runs = []
    for threads in (1, 2, 2, 3):
        torch.set_num_threads(threads)
        with settings_of_core("sparse", extension):
            runs.append(outputs_and_gradients(egru, x, state, 4))
    # The gradients of x and of the first events come from dense products, as all are wanted.
    for run in runs[1:]:
        for name in run.keys() - {"leaf 0", "leaf 1"}:
            assert torch.equal(run[name], runs[0][name]), name


def test_multiply_accumulates_done_are_those_that_the_exact_rules_need():
    egru = twins(5, 30, 50, 2, surrogate_width=0.2)[0]
    x = events(np.random.default_rng(5), (15, 8, 30), 0.2)
    x.requires_grad_()
    with policy.forced("sparse"), core.count_macs() as macs:
        y, last = egru(x)
        torch.autograd.backward([y, *last], [torch.randn_like(t) for t in (y, *last)])

    # The same from the reference: zeros at the start, so no events before the first step.
    needed, columns, zero = dict.fromkeys(macs, 0), 3 * 50, np.zeros((8, 50))
    values, below = x.detach().numpy(), None
    for layer in range(2):
        par = reference.Parameters(*(p.detach().numpy() for p in egru.layer_parameters(layer)))
        y, _, tape = reference.forward(par, values, zero, zero)
        s = np.stack([step[7] for step in tape]) - par.threshold
        near = (s > 0) | (np.abs(s) < 0.2)
        needed["W x"] += columns * np.count_nonzero(values)
        needed["dW"] += columns * np.count_nonzero(values)
        needed["R y"] += columns * np.count_nonzero(y[:-1])
        needed["dR"] += columns * np.count_nonzero(y[:-1])
        needed["Rt dq"] += columns * np.count_nonzero(near[:-1])
        # The user's inputs want all of their gradient, a layer what can matter to it.
        needed["dx"] += columns * (values.size if below is None else np.count_nonzero(below))
        values, below = y, near
    assert macs == needed


def test_counts_and_forced_products_hold_for_the_block_and_its_thread_only():
    egru = twins(14, 30, 50)[0]
    x = events(np.random.default_rng(14), (15, 8, 30), 0.1)

    def macs_of_forward_and_backward():
        with core.count_macs() as macs:
            egru(x)[0].sum().backward()
        return macs

    sparse = macs_of_forward_and_backward()
    with policy.forced("dense"), core.count_macs() as outer:
        dense = macs_of_forward_and_backward()
        with ThreadPoolExecutor(1) as pool:
            elsewhere = pool.submit(macs_of_forward_and_backward).result()
    assert elsewhere == macs_of_forward_and_backward() == sparse
    assert dense == {
        "W x": 15 * 8 * 30 * 150, "R y": 15 * 8 * 50 * 150, "Rt dq": 14 * 8 * 50 * 150,
        "dW": 15 * 8 * 30 * 150, "dR": 15 * 8 * 50 * 150, "dx": 0,
    }  # fmt: skip
    assert all(sparse[product] < dense[product] for product in ("W x", "R y", "dW", "dR"))
    assert not any(outer.values())


def test_an_unknown_vector_extension_is_rejected_with_the_known_ones():
    with pytest.raises(ValueError, match=r"must be one of .*'baseline'.*, not 'mmx'"):
        with core.use_vector_extension("mmx"):
            pass


def test_operator_passes_opcheck():
    torch.manual_seed(6)

    def leaf(*shape):
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    def weight(inputs):
        return torch.randn(inputs, 24, dtype=torch.float64).t().requires_grad_()

    theta = torch.full((8,), 0.3, dtype=torch.float64, requires_grad=True)
    kept = torch.randint(2, (3, 2, 8), dtype=torch.uint8)
    wanted = torch.randint(2, (3, 2, 5), dtype=torch.uint8)
    for masks in ((None, None), (kept, wanted)):
        arguments = (
            leaf(3, 2, 5), weight(5), weight(8), leaf(24), leaf(24), theta, leaf(2, 8), leaf(2, 8),
            *masks, 0.0, 0.7, 0.5, True,
        )  # fmt: skip
        torch.library.opcheck(layer_forward, arguments)


@pytest.mark.parametrize("choice", ["dense", "sparse"])
def test_gradients_are_true_derivatives_where_no_event_comes_or_goes(choice):
    egru = twins(3, 2, 5, 2, surrogate_height=0.0)[0]
    torch.manual_seed(3)
    x = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    state = [torch.rand(2, 3, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]

    def run(x, y, h, *_):
        out, last = egru(x, (y, h))
        return out, *last

    with policy.forced(choice):
        assert torch.autograd.gradcheck(run, (x, *state, *egru.parameters()))
    assert 0 < (egru(x)[0] != 0).double().mean() < 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's compiler's own
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_results_and_gradients_are_the_same(backend):
    egru = twins(7, 6, 9, 2, trace=True)[0]
    state = [torch.zeros(2, 3, 9, dtype=torch.float64)] * 2
    state.append(torch.zeros(3, 9, dtype=torch.float64))
    x = events(np.random.default_rng(7), (4, 3, 6), 0.4)
    expected = outputs_and_gradients(egru, x, state, 7)
    egru.compile(fullgraph=True, backend=backend)
    assert_equal(outputs_and_gradients(egru, x, state, 7), expected)
    with torch.no_grad():
        assert torch.equal(egru(x, tuple(state))[0], expected["output 0"])


@pytest.mark.parametrize("used", [[0], [1], [2], [3], [4], [0, 2]])
def test_outputs_without_a_gradient_count_as_unused(used):
    pair = twins(8, 6, 9, 2, trace=True)
    x = events(np.random.default_rng(8), (4, 3, 6), 0.4)
    state = [torch.rand(2, 3, 9, dtype=torch.float64) for _ in range(2)]
    state.append(torch.rand(3, 9, dtype=torch.float64))
    found, expected = (outputs_and_gradients(egru, x, state, 8, used) for egru in pair)
    # Zero or none: PyTorch's operations know in more cases that nothing arrives.
    for name, value in expected.items():
        if value is None and found[name] is not None:
            assert not found[name].any(), name
    assert_equal(found, {n: v for n, v in expected.items() if v is not None})


def test_parameters_and_inputs_may_be_frozen_one_by_one():
    pair = twins(9, 6, 9)
    x = events(np.random.default_rng(9), (4, 3, 6), 0.4)
    for frozen, _ in pair[0].named_parameters():
        for egru in pair:
            egru.zero_grad()
            for name, parameter in egru.named_parameters():
                parameter.requires_grad_(name != frozen)
            egru(x)[0].square().sum().backward()
        grads = [{n: p.grad for n, p in egru.named_parameters()} for egru in pair]
        assert grads[0][frozen] is None
        assert_equal(*grads)


def test_used_twice_and_differentiated_twice_gradients_add_up():
    pair = twins(10, 9, 9)
    x = events(np.random.default_rng(10), (4, 3, 9), 0.4)
    for egru in pair:
        y, state = egru(x)
        y, _ = egru(y, state)
        loss = y.square().sum()
        loss.backward(retain_graph=True)
        loss.backward()
    assert_equal(*({n: p.grad for n, p in egru.named_parameters()} for egru in pair))


def test_any_layout_of_inputs_weights_and_gradients_gives_the_same():
    pair = twins(11, 6, 9, 2)
    pair[0].store_transposed()
    assert not pair[0].weight_hh_l0.is_contiguous()
    x = events(np.random.default_rng(11), (6, 3, 8), 0.4).permute(2, 1, 0)[::2]
    assert not x.is_contiguous()
    for egru in pair:
        y, _ = egru(x)
        y.sum().backward()  # an expanded gradient
    assert_equal(*({n: p.grad for n, p in egru.named_parameters()} for egru in pair))


def test_without_gradients_nothing_is_recorded():
    egru = twins(12, 6, 9, 2)[0]
    x = events(np.random.default_rng(12), (4, 3, 6), 0.4)
    y, _ = egru(x)
    with torch.no_grad():
        y_plain, _ = egru(x)
    with torch.inference_mode():
        y_inference, _ = egru(x)
    assert torch.equal(y, y_plain)
    assert torch.equal(y, y_inference)
    assert y_plain.grad_fn is None


def test_memory_kept_between_calls_serves_every_size_type_and_mode():
    fresh = {}
    for again in (False, True):
        for size, dtype in ((40, torch.float64), (3, torch.float64), (40, torch.float32)):
            pair = twins(9, 4, size, dtype=dtype)
            x = torch.randn(6, 5, 4, dtype=dtype)
            with torch.inference_mode():
                first = pair[0](x)[0].clone()
            pair[0](x)[0].sum().backward()
            pair[1](x)[0].sum().backward()
            found = {name: p.grad for name, p in pair[0].named_parameters()}
            expected = {name: p.grad for name, p in pair[1].named_parameters()}
            assert_equal(found, expected, 1e-10 if dtype is torch.float64 else 1e-3)
            if again:
                assert torch.equal(first, fresh[size, dtype])
            fresh[size, dtype] = first


def test_changed_outputs_are_noticed_by_the_backward_pass():
    y, _ = twins(13, 6, 9)[0](torch.rand(4, 3, 6, dtype=torch.float64))
    loss = y.sum()
    with torch.no_grad():
        y.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_types_that_the_core_does_not_have_fall_back_or_are_rejected():
    x = torch.rand(4, 3, 6, dtype=torch.bfloat16)
    assert EGRU(6, 9, dtype=torch.bfloat16)(x)[0].dtype == torch.bfloat16
    with pytest.raises(ValueError, match="float32 or float64"):
        EGRU(6, 9, dtype=torch.bfloat16, backend="core")(x)
    with pytest.raises(ValueError, match="backend must be"):
        EGRU(6, 9, backend="fast")


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_without_the_core_a_warning_says_so_once_and_pytorch_operations_work():
    done = run_python(
        "import sys; sys.modules['golden.core._core'] = None\n"
        "import torch, golden\n"
        "a, b = golden.EGRU(2, 3), golden.EGRU(2, 3)\n"
        "print(a(torch.rand(4, 2))[0].shape)\n"
        "try: golden.EGRU(2, 3, backend='core')\n"
        "except ValueError as error: print(error)\n"
    )
    assert done.returncode == 0, done.stderr
    assert "torch.Size([4, 3])" in done.stdout
    assert "backend 'core' is missing" in done.stdout
    assert done.stderr.count("using backend='torch'") == 1


PARALLEL = """
import os, sys, torch
from torch import distributed, nn
from golden.cells.event_gru import EGRU
rank = int(sys.argv[1])
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
torch.manual_seed(0)
egru = EGRU(5, 7, 2, backend=sys.argv[3], batch_first=True).double()
x = torch.rand(4, 6, 5, dtype=torch.float64)
parallel = nn.parallel.DistributedDataParallel(egru)
parallel(x[rank::2])[0].square().mean().backward()
torch.save({n: p.grad for n, p in egru.named_parameters()}, sys.argv[4])
distributed.destroy_process_group()  # or its threads may outlive the process and abort it
"""


def test_data_parallel_processes_get_the_gradients_of_the_whole_batch(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PARALLEL, str(rank), tmp_path / "store", "core",
             tmp_path / f"rank{rank}"], stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]  # fmt: skip
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    torch.manual_seed(0)
    egru = EGRU(5, 7, 2, backend="torch", batch_first=True).double()
    egru(torch.rand(4, 6, 5, dtype=torch.float64))[0].square().mean().backward()
    expected = {n: p.grad for n, p in egru.named_parameters()}
    for rank in range(2):
        assert_equal(torch.load(tmp_path / f"rank{rank}"), expected)
