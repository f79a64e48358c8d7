"""What users do with torch.nn.GRU, done with an EGRU beside it: the rows of docs/parity.md."""

import copy
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import distributed, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jvp, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrizations, prune, rnn
from torch.utils.checkpoint import checkpoint

from golden.cells.event_gru import EGRU

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's, of deprecated and slow ways

DOC = Path(__file__).parents[3] / "docs" / "parity.md"


@pytest.fixture(autouse=True)
def double_precision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def inputs() -> torch.Tensor:
    return torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(1))


def loss(module, x=None) -> torch.Tensor:
    return module(inputs() if x is None else x)[0].square().sum()


def gradients(module) -> list[torch.Tensor]:
    return [p.grad for p in module.parameters()]


def same_outputs(module, other) -> bool:
    return torch.allclose(module(inputs())[0], other(inputs())[0])


# Each returns what is the same for both modules. Names are the rows of the table.


def unbatched_input(m):
    return m(inputs()[:, 0])[0].shape


def empty_batch(m):
    loss(m, inputs()[:, :0]).backward()
    return m(inputs()[:, :0])[0].shape


def packed_sequence(m):
    xs = [torch.randn(length, 4) for length in (2, 5, 3)]
    y, _ = m(rnn.pack_sequence(xs, enforce_sorted=False))
    alone = torch.cat([m(x)[0] for x in xs])
    return torch.allclose(torch.cat(rnn.unpack_sequence(y)), alone), type(y), y.sorted_indices


def flatten_parameters(m):
    return m.flatten_parameters()


def keywords_input_and_hx(m):
    return m(input=inputs(), hx=None)[0].shape


def keywords_x_and_state(m):
    return m(x=inputs(), state=None)[0].shape


def bidirectional(m):
    return type(m)(4, 8, bidirectional=True)(inputs())[0].shape


def reversed_in_time(m):
    return torch.cat([m(inputs())[0], type(m)(4, 8)(inputs().flip(0))[0].flip(0)], -1).shape


def to_dtype(m):
    return m.to(torch.float32)(inputs().float())[0].dtype


def half(m):
    return m.half()(inputs().half())[0].dtype, m.bfloat16()(inputs().bfloat16())[0].dtype


def autocast(m):
    m = nn.Sequential(nn.Linear(4, 4), m).float()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(m, inputs().float())
    value.backward()
    return {g.dtype for g in gradients(m)}, value.isfinite()


def gradient_scaler(m):
    m = m.float()
    optimizer, scaler = torch.optim.SGD(m.parameters(), 0.1), torch.amp.GradScaler("cpu")
    scaler.scale(loss(m, inputs().float())).backward()
    scaler.step(optimizer)
    scaler.update()


def meta_device(m):
    other = type(m)(4, 8, device="meta")
    shape = other(inputs().to("meta"))[0].shape
    other.to_empty(device="cpu").load_state_dict(m.state_dict())
    return shape, same_outputs(m, other)


def share_memory(m):
    return m.share_memory().weight_hh_l0.is_shared(), m(inputs())[0].shape


def deep_copy(m):
    return same_outputs(m, copy.deepcopy(m))


def pickled(m):
    torch.save(m, "module")
    again = torch.load("module", weights_only=False)
    return same_outputs(m, pickle.loads(pickle.dumps(m))), same_outputs(m, again)


def state_dict(m):
    other = type(m)(4, 8)
    other.load_state_dict(m.state_dict(), strict=True)
    assigned = type(m)(4, 8)
    assigned.load_state_dict(m.state_dict(), assign=True)
    return same_outputs(m, other), same_outputs(m, assigned)


def state_dict_of_a_gru(m):
    return m.load_state_dict(nn.GRU(4, 8).state_dict())


def made_from_a_gru(m):
    return EGRU.from_gru(nn.GRU(4, 8)).weight_hh_l0.shape


def safetensors(m):
    save_file(m.state_dict(), "m.safetensors")
    other = type(m)(4, 8)
    other.load_state_dict(load_file("m.safetensors"))
    return same_outputs(m, other)


def data_parallel(m):
    return same_outputs(m, nn.DataParallel(m))


def distributed_data_parallel(m):
    distributed.init_process_group(
        "gloo", init_method=f"file://{Path.cwd()}/store", rank=0, world_size=1
    )
    try:
        loss(nn.parallel.DistributedDataParallel(m)).backward()
    finally:
        distributed.destroy_process_group()
        Path("store").unlink(missing_ok=True)
    return all(g.isfinite().all() for g in gradients(m))


def forward_and_backward_hooks(m):
    seen = []
    m.register_forward_pre_hook(lambda *_: seen.append("before"))
    m.register_forward_hook(lambda *_: seen.append("after"))
    m.register_full_backward_hook(lambda *_: seen.append("backward"))
    m.weight_hh_l0.register_hook(lambda g: seen.append(tuple(g.shape)))
    m.weight_hh_l0.register_post_accumulate_grad_hook(lambda p: seen.append(type(p)))
    loss(m, inputs().requires_grad_()).backward()
    return sorted(map(str, seen))


def parametrized(register):
    def run(m):
        plain = copy.deepcopy(m)
        register(m, "weight_hh_l0")
        loss(m).backward()
        return all(g.isfinite().all() for g in gradients(m)), same_outputs(m, plain)

    return run


def pruning(m):
    prune.l1_unstructured(m, "weight_hh_l0", 0.5)
    loss(m).backward()
    prune.remove(m, "weight_hh_l0")
    return (m.weight_hh_l0 == 0).sum()


def parameters_as_a_vector(m):
    other = type(m)(4, 8)
    vector = nn.utils.parameters_to_vector(m.parameters())
    nn.utils.vector_to_parameters(vector, other.parameters())
    return same_outputs(m, other)


def lbfgs(m):
    optimizer = torch.optim.LBFGS(m.parameters(), max_iter=3)

    def closure():
        optimizer.zero_grad()
        value = loss(m)
        value.backward()
        return value

    optimizer.step(closure)
    return loss(m).isfinite()


def gradient_clipping(m):
    loss(m).backward()
    nn.utils.clip_grad_norm_(m.parameters(), 0.1)
    return round(nn.utils.get_total_norm(gradients(m)).item(), 3)


def averaged_model(m):
    averaged = torch.optim.swa_utils.AveragedModel(m)
    averaged.update_parameters(m)
    return same_outputs(m, averaged)


def writing_to_data(m):
    y = m(inputs())[0]
    m.weight_ih_l0.data.add_(1)
    return torch.allclose(m(inputs())[0], y)


def frozen_parameters(m):
    m.weight_hh_l0.requires_grad_(False)
    loss(m).backward()
    return m.weight_hh_l0.grad, m.weight_ih_l0.grad.isfinite().all()


def gradient_checkpointing(m):
    loss(m).backward()
    expected = [g.clone() for g in gradients(m)]
    m.zero_grad()
    checkpoint(lambda x: loss(m, x), inputs().requires_grad_(), use_reentrant=False).backward()
    return all(map(torch.equal, gradients(m), expected))


def anomaly_detection(m):
    with torch.autograd.detect_anomaly():
        loss(m).backward()


def saved_tensor_hooks(m):
    with torch.autograd.graph.save_on_cpu():
        loss(m).backward()


def gradients_as_a_vector(m):
    found = torch.autograd.grad(loss(m), [m.weight_ih_l0, m.weight_hh_l0])
    return torch.cat([g.view(-1) for g in found]).shape


def batched_gradients(m):
    x = inputs().requires_grad_()
    y = m(x)[0]
    seeds = torch.randn(2, *y.shape)
    (batch,) = torch.autograd.grad(y, x, seeds, is_grads_batched=True, retain_graph=True)
    single = [torch.autograd.grad(y, x, seed, retain_graph=True)[0] for seed in seeds]
    return torch.allclose(batch, torch.stack(single))


def double_backward(m):
    x = inputs().requires_grad_()
    (first,) = torch.autograd.grad(loss(m, x), x, create_graph=True)
    first.square().sum().backward()
    return x.grad.isfinite().all()


def with_operations(function):
    """``function`` with backend="torch"."""

    def run(m):
        m.backend = "torch"
        return function(m)

    return run


def is_adjoint(m, tangent, output_tangent, x, v):
    """Forward-mode and reverse-mode derivatives agree."""
    return torch.allclose((output_tangent * v).sum(), (tangent * vjp(m, x)[1](v)[0]).sum())


def forward_mode(m):
    x, tangent, v = inputs(), torch.randn(5, 3, 4), torch.randn(5, 3, 8)
    found = []
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled), forward_ad.dual_level():
            y = m(forward_ad.make_dual(x, tangent))[0]
            found.append(forward_ad.unpack_dual(y).tangent)
    return [is_adjoint(lambda x: m(x)[0], tangent, t, x, v) for t in found]


def func_jvp(m):
    x, tangent, v = inputs(), torch.randn(5, 3, 4), torch.randn(5, 3, 8)
    (_, found) = jvp(lambda x: m(x)[0], (x,), (tangent,))
    return is_adjoint(lambda x: m(x)[0], tangent, found, x, v)


def func_grad(m):
    parameters = dict(m.named_parameters())
    found = grad(lambda p: functional_call(m, p, (inputs(),))[0].square().sum())(parameters)
    loss(m).backward()
    return all(torch.allclose(found[n], p.grad) for n, p in m.named_parameters())


def func_hessian(m):
    return hessian(lambda x: loss(m, x))(inputs()[:2]).isfinite().all()


def func_vmap(m):
    xs = torch.stack([inputs(), -inputs()])
    return torch.allclose(vmap(lambda x: m(x)[0])(xs)[1], m(-inputs())[0])


def compiled(m):
    return same_outputs(m, torch.compile(m, backend="aot_eager"))


def exported(m):
    return same_outputs(m, torch.export.export(m, (inputs(),)).module())


def traced_by_make_fx(m):
    found = []
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            graph = make_fx(lambda x: m(x)[0])(inputs())
            found.append(torch.allclose(graph(-inputs()), m(-inputs())[0]))
    return found


def jit_trace(m):
    return same_outputs(m, torch.jit.trace(m, (inputs(),)))


def jit_script(m):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = m

        def forward(self, x):
            return self.rnn(x)[0]

    return torch.jit.script(Wrapped())(inputs()).shape


def dynamic_quantization(m):
    return type(torch.ao.quantization.quantize_dynamic(nn.Sequential(m))[0]) is not type(m)


SAME = {
    "a single sequence (T, C)": unbatched_input,
    "an empty batch": empty_batch,
    "`PackedSequence`, sorted or not": packed_sequence,
    "`flatten_parameters()`": flatten_parameters,
    "`to(dtype)`": to_dtype,
    "`half()`, `bfloat16()`": half,
    "`torch.autocast`": autocast,
    "`torch.amp.GradScaler`": gradient_scaler,
    "meta device, `to_empty`": meta_device,
    "`share_memory()`": share_memory,
    "`copy.deepcopy`": deep_copy,
    "`pickle`, `torch.save` of the module": pickled,
    "`load_state_dict`, strict, `assign=True`": state_dict,
    "`safetensors.torch.save_file`": safetensors,
    "`nn.DataParallel`": data_parallel,
    "`nn.parallel.DistributedDataParallel`": distributed_data_parallel,
    "forward, backward and tensor hooks": forward_and_backward_hooks,
    "`parametrizations.weight_norm`": parametrized(parametrizations.weight_norm),
    "`parametrizations.spectral_norm`": parametrized(parametrizations.spectral_norm),
    "`parametrizations.orthogonal`": parametrized(parametrizations.orthogonal),
    "`nn.utils.weight_norm`": parametrized(nn.utils.weight_norm),
    "`nn.utils.prune`": pruning,
    "`parameters_to_vector`, `vector_to_parameters`": parameters_as_a_vector,
    "`torch.optim.LBFGS`": lbfgs,
    "`clip_grad_norm_`": gradient_clipping,
    "`swa_utils.AveragedModel`": averaged_model,
    "writing to `.data`": writing_to_data,
    "frozen parameters": frozen_parameters,
    "`torch.utils.checkpoint`": gradient_checkpointing,
    "anomaly detection": anomaly_detection,
    "`saved_tensors_hooks`, `save_on_cpu`": saved_tensor_hooks,
    "`autograd.grad`, then `.view(-1)`": gradients_as_a_vector,
    "`autograd.grad(is_grads_batched=True)`": batched_gradients,
    "forward mode (`autograd.forward_ad`)": forward_mode,
    "`torch.func.jvp`": func_jvp,
    "`torch.func.grad`, `functional_call`": func_grad,
    "`torch.func.hessian`": func_hessian,
    "`torch.compile`": compiled,
    "`torch.export.export`": exported,
    "`make_fx`": traced_by_make_fx,
}

# What is done, what an EGRU says, and what to do instead.
INSTEAD = {
    "double backward": (double_backward, "backend='torch'", with_operations(double_backward)),
    "`torch.jit.trace`": (jit_trace, r"use torch\.export\.export or torch\.compile", exported),
    "`torch.jit.script`": (jit_script, r"use torch\.export\.export or torch\.compile", compiled),
    "keywords `input` and `hx`": (
        keywords_input_and_hx, "unexpected keyword argument 'input'", keywords_x_and_state,
    ),
    "`bidirectional=True`": (
        bidirectional, "unexpected keyword argument 'bidirectional'", reversed_in_time,
    ),
    "the `state_dict` of an `nn.GRU`": (
        state_dict_of_a_gru, r"Missing key\(s\) in state_dict: \"threshold_l0\"", made_from_a_gru,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_an_egru_does_what_a_gru_does(name):
    assert repr(SAME[name](EGRU(4, 8))) == repr(SAME[name](nn.GRU(4, 8)))


@pytest.mark.parametrize("name", INSTEAD)
def test_where_an_egru_differs_it_names_what_works(name):
    function, words, instead = INSTEAD[name]
    if name != "`torch.jit.script`":  # PyTorch no longer scripts its own GRU in every Python
        function(nn.GRU(4, 8))
    with pytest.raises((ValueError, RuntimeError, TypeError), match=words):
        function(EGRU(4, 8))
    instead(EGRU(4, 8))


def test_vmap_works_where_that_of_a_gru_does_not():
    with pytest.raises(RuntimeError, match="Batching rule not implemented"):
        func_vmap(nn.GRU(4, 8))
    assert func_vmap(EGRU(4, 8))


def test_dynamic_quantization_leaves_an_egru_in_float():
    assert dynamic_quantization(nn.GRU(4, 8).float())
    assert not dynamic_quantization(EGRU(4, 8).float())


@pytest.mark.parametrize("function", [forward_mode, func_jvp, func_grad, func_vmap])
def test_backend_core_names_the_backend_that_has_what_it_lacks(function):
    with pytest.raises(ValueError, match="make the EGRU with backend='torch'"):
        function(EGRU(4, 8, backend="core"))


@pytest.mark.parametrize("backend", ["core", "torch"])
def test_autocast_computes_in_the_type_of_the_parameters(backend):
    egru = EGRU(4, 8, backend=backend, dtype=torch.float32)
    x = inputs().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found, state = egru(x)
        again, _ = egru(x, tuple(s.bfloat16() for s in state))
    assert torch.equal(found, egru(x.float())[0])
    assert again.dtype == torch.float32
    with pytest.raises(ValueError, match=r"float32 inputs, like its parameters, not torch\.bf"):
        egru(x)


def test_the_table_has_the_rows_that_are_tested():
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", DOC.read_text(), re.MULTILINE)[1:]
    same = {name for name, answer in rows if answer.startswith("same")}
    assert same == SAME.keys()
    others = {"`torch.func.vmap`", "`torch.ao.quantization`"}
    assert {name for name, _ in rows} - same == INSTEAD.keys() | others
