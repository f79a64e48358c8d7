"""The C++ core as PyTorch operators: an EGRU layer whose cost is that of its events.

Two differentiable operators make a layer: ``product`` is the input's part, W x over all steps at
once, ``recurrence`` the steps. Both skip exactly what is zero; where so little is zero that a
dense product is faster they call ``torch.mm`` instead. Weights are wanted
transposed in memory, strides (1, rows), and copied if they are not: an event then reads one row.
docs/performance.md has the rules, the cost model and measurements.
"""

from collections import Counter

import torch
from torch import Tensor

from golden import _core

targets, use = _core.targets, _core.use  # vector extensions of this machine, and to choose one

# "auto" follows the cost model; "dense" and "sparse" are for tests and benchmarks.
policy = "auto"
# Multiply-accumulates done in products since the last clear(), by product.
macs: Counter[str] = Counter()


def gather_dense_from(rows: int) -> float:
    """Share of events from which a dense product of ``rows`` rows is faster: R y, W x, dR, dW.

    A dense product keeps a weight in a register for many rows, one with events reads it from
    the second-level cache for every event; for few rows both read every weight they use once.
    """
    return 1.0 if rows < 4 else 0.33


def dots_dense_from(rows: int) -> float:
    """The same for products of which only some elements are wanted: transposed R dq, dx."""
    return 0.65 if rows <= 64 else 0.4


def _most(dense_from: float) -> float:
    """Share of non-zeros above which to use a dense product."""
    return {"auto": dense_from, "dense": -1.0, "sparse": 1.0}[policy]


def _threads(work: float) -> int:
    """Threads for that many multiply-accumulates between two meetings of threads."""
    return max(1, min(torch.get_num_threads(), int(work / 500_000)))


def _call(name: str, like: Tensor):
    return getattr(_core, f"{name}_{str(like.dtype).removeprefix('torch.')}")


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _empty(like: Tensor, *shape: int) -> Tensor:
    """As ``like.new_empty``; first writes to large ones then cost less (fewer page faults)."""
    tensor = like.new_empty(shape)
    if tensor.nbytes >= 1 << 22:
        _core.large_pages(tensor.data_ptr(), tensor.nbytes)
    return tensor


def _density(x: Tensor) -> float:
    """Share of non-zeros, estimated from at most about 100 rows spread over ``x``."""
    sample = x[:: max(1, len(x) // 100)]
    return torch.count_nonzero(sample).item() / max(1, sample.numel())


# --- x [M, K] times weight [J, K] transposed: [M, J] ---------------------------------------------


@torch.library.custom_op("egru::product", mutates_args=())
def product(x: Tensor, weight: Tensor, wanted: Tensor | None = None) -> Tensor:
    """``x @ weight.T``. Where ``wanted`` (uint8, as ``x``) is 0 the gradient of x is not needed."""
    x, by_input = x.contiguous(), weight.t().contiguous()
    rows, inputs = x.shape
    density = _density(x)
    if density > _most(gather_dense_from(rows)):
        macs["W x"] += rows * weight.numel()
        return torch.mm(x, by_input)
    out = _empty(x, rows, len(weight))
    macs["W x"] += _call("product", x)(
        *map(_address, (out, x, by_input)), rows, inputs, len(weight),
        _threads(density * rows * weight.numel()),
    )  # fmt: skip
    return out


@product.register_fake
def _(x, weight, wanted=None):
    return x.new_empty(x.shape[0], weight.shape[0])


@torch.library.custom_op("egru::product_dx", mutates_args=())
def product_dx(grad: Tensor, weight: Tensor, wanted: Tensor | None) -> Tensor:
    """Gradient of x [M, K] from that of the product [M, J]."""
    grad, by_input = grad.contiguous(), weight.t().contiguous()
    inputs, outputs = by_input.shape
    if wanted is None or _density(wanted) > _most(dots_dense_from(len(grad))):
        macs["dx"] += len(grad) * weight.numel()
        return torch.mm(grad, by_input.t())
    dx = grad.new_zeros(len(grad), inputs)
    wanted = wanted.contiguous()
    macs["dx"] += _call("dots", dx)(
        *map(_address, (dx, wanted, grad, by_input)), len(grad), inputs, outputs,
        _threads(len(grad) * weight.numel()),
    )  # fmt: skip
    return dx


@product_dx.register_fake
def _(grad, weight, wanted):
    return grad.new_empty(grad.shape[0], weight.shape[1])


@torch.library.custom_op("egru::product_dw", mutates_args=())
def product_dw(grad: Tensor, x: Tensor) -> Tensor:
    """Gradient of the weight [J, K] from that of the product [M, J]."""
    grad, x = grad.contiguous(), x.contiguous()
    dw = x.new_zeros(x.shape[1], grad.shape[1])
    _add_outer(dw, x, grad, None, "dW")
    return dw.t()


@product_dw.register_fake
def _(grad, x):
    return x.new_empty(x.shape[1], grad.shape[1]).t()


def _add_outer(out: Tensor, x: Tensor, first: Tensor, second: Tensor | None, name: str) -> None:
    """out [K, J] += x [M, K] transposed times [first | second], together [M, J]."""
    rows, inputs = x.shape
    if rows == 0:
        return
    parts = [first] if second is None else [first, second]
    density = _density(x)
    if density > _most(gather_dense_from(rows)):
        macs[name] += rows * out.numel()
        for part, to in zip(parts, out.split([p.shape[1] for p in parts], 1), strict=True):
            to.addmm_(x.t(), part)
        return
    macs[name] += _call("outer", out)(
        out.data_ptr(), x.data_ptr(),
        *(v for p in parts for v in (p.data_ptr(), p.stride(0), p.shape[1])),
        *(() if second is not None else (0, 0, 0)),
        rows, inputs, _threads(density * rows * out.numel()),
    )  # fmt: skip


def _product_setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _product_backward(ctx, grad):
    x, weight, wanted = ctx.saved_tensors
    dx = product_dx(grad, weight, wanted) if ctx.needs_input_grad[0] else None
    dw = product_dw(grad, x) if ctx.needs_input_grad[1] else None
    return dx, dw, None


product.register_autograd(_product_backward, setup_context=_product_setup)


# --- the steps of a layer ------------------------------------------------------------------------


@torch.library.custom_op("egru::recurrence", mutates_args=())
def recurrence(
    p: Tensor, weight: Tensor, bias_ih: Tensor, bias_hh: Tensor, theta: Tensor, y0: Tensor,
    h0: Tensor, kept: Tensor | None, zoneout: float, height: float, width: float, tape: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Steps of one layer from its input part ``p`` (T, N, 3H) and state (y0, h0), each (N, H).

    ``kept`` (uint8, (T, N, H)) are the units that zoneout keeps in training; without it
    ``zoneout`` is the share kept of every state.

    Returns ``(y, h, tape, near, nearby)``: events (T, N, H) and last state; and with ``tape``,
    for the backward pass, r, z, g, q_n and c of every unit and step, the units with an event
    or inside the surrogate's window (uint8, (T, N, H)), and how many those are per step.
    """
    steps, count, size = *p.shape[:2], p.shape[2] // 3
    by_unit = weight.t().contiguous()
    p, bias_ih, bias_hh, theta, y0 = (v.contiguous() for v in (p, bias_ih, bias_hh, theta, y0))
    h = h0.clone(memory_format=torch.contiguous_format)
    kept = None if kept is None else kept.contiguous()
    y = _empty(p, steps, count, size)
    states = _empty(p, *((steps, count, 5, size) if tape else (0,)))
    near = p.new_empty((steps, count, size) if tape else 0, dtype=torch.uint8)
    nearby = p.new_zeros(steps if tape else 0, dtype=torch.int64)
    q = p.new_empty(count, 3 * size)
    threads = _threads(count * weight.numel())
    scratch = torch.empty(_call("forward_scratch", p)(count, size, threads), dtype=torch.uint8)
    packed = _empty(p, _core.packed_size(size)) if count >= 4 and steps >= 4 else None
    is_packed = torch.zeros(1, dtype=torch.bool)
    arguments = (
        steps, count, size, *map(_address, (by_unit, bias_ih, bias_hh, theta, kept)), zoneout,
        width, *map(_address, (p, y0, y, h, states if tape else None, near, nearby)),
        *map(_address, (q, packed, is_packed, scratch)),
    )  # fmt: skip
    run, limit = _call("forward", p), int(_most(gather_dense_from(count)) * count * size)
    step, given = 0, False
    while True:
        step, done = run(*arguments, step, given, limit, threads)
        macs["R y"] += done
        if step == steps:
            return y, h, states, near, nearby
        torch.addmm(bias_hh, y[step - 1] if step else y0, by_unit, out=q)
        macs["R y"] += count * weight.numel()
        given = True


@recurrence.register_fake
def _(p, weight, bias_ih, bias_hh, theta, y0, h0, kept, zoneout, height, width, tape):
    steps, count, size = p.shape[0], p.shape[1], p.shape[2] // 3
    return (
        p.new_empty(steps, count, size),
        p.new_empty(count, size),
        p.new_empty((steps, count, 5, size) if tape else 0),
        p.new_empty((steps, count, size) if tape else 0, dtype=torch.uint8),
        p.new_empty(steps if tape else 0, dtype=torch.int64),
    )


@torch.library.custom_op("egru::recurrence_backward", mutates_args=())
def recurrence_backward(
    dy: Tensor | None, dh: Tensor | None, weight: Tensor, theta: Tensor, y0: Tensor, h0: Tensor,
    kept: Tensor | None, y: Tensor, tape: Tensor, near: Tensor, nearby: Tensor, zoneout: float,
    height: float, width: float, want_weight: bool, want_y0: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of ``p, weight, bias_ih, bias_hh, theta, y0, h0``; empty where not wanted."""
    steps, count, size = y.shape
    by_unit = weight.t().contiguous()
    theta, y0, h0 = theta.contiguous(), y0.contiguous(), h0.contiguous()
    kept = None if kept is None else kept.contiguous()
    dy = None if dy is None else dy.contiguous()
    dh0 = torch.zeros_like(h0) if dh is None else dh.clone(memory_format=torch.contiguous_format)
    ybar = y.new_zeros(count, size)
    dp = _empty(y, steps, count, 3 * size)
    dq_n = _empty(y, steps, count, size)
    dtheta = y.new_zeros(size)
    dbias_ih, dbias_hh = y.new_zeros(3 * size), y.new_zeros(3 * size)
    arguments = (
        steps, count, size, *map(_address, (by_unit, theta, h0, kept)), zoneout, height, width,
        *map(_address, (tape, near, nearby, dy, dh0, ybar, dp, dq_n, dtheta, dbias_ih, dbias_hh)),
    )  # fmt: skip
    limit = int(_most(dots_dense_from(count)) * count * size)
    run, threads = _call("backward", y), _threads(count * weight.numel())

    def recurrent_gradient(step: int) -> None:
        torch.mm(dp[step, :, : 2 * size], by_unit[:, : 2 * size].t(), out=ybar)
        ybar.addmm_(dq_n[step], by_unit[:, 2 * size :].t())
        macs["Rt dq"] += count * weight.numel()

    step, given = steps - 1, True
    while True:
        step, done = run(*arguments, step, given, limit, threads)
        macs["Rt dq"] += done
        if step < 0:
            break
        recurrent_gradient(step + 1)
    if want_y0:
        recurrent_gradient(0)
    dweight = y.new_zeros((size, 3 * size) if want_weight else (0, 0))
    if want_weight:
        flat_dp, flat_dq_n = dp.view(-1, 3 * size)[:, : 2 * size], dq_n.view(-1, size)
        before = y.view(-1, size)[:-count]
        _add_outer(dweight, y0, flat_dp[:count], flat_dq_n[:count], "dR")
        _add_outer(dweight, before, flat_dp[count:], flat_dq_n[count:], "dR")
    dy0 = ybar if want_y0 else y.new_empty(0)
    return dp, dweight.t(), dbias_ih, dbias_hh, dtheta, dy0, dh0


@recurrence_backward.register_fake
def _(
    dy, dh, weight, theta, y0, h0, kept, y, tape, near, nearby, zoneout, height, width,
    want_weight, want_y0,
):  # fmt: skip
    steps, count, size = y.shape
    return (
        y.new_empty(steps, count, 3 * size),
        y.new_empty((size, 3 * size) if want_weight else (0, 0)).t(),
        y.new_empty(3 * size),
        y.new_empty(3 * size),
        y.new_empty(size),
        y.new_empty((count, size) if want_y0 else 0),
        y.new_empty(count, size),
    )


def _recurrence_setup(ctx, inputs, output):
    _, weight, _, _, theta, y0, h0, kept, *ctx.constants, _ = inputs
    y, _, tape, near, nearby = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(tape, near, nearby)
    ctx.save_for_backward(weight, theta, y0, h0, kept, y, tape, near, nearby)


def _recurrence_backward(ctx, dy, dh, *_):
    want = ctx.needs_input_grad
    dp, dweight, dbias_ih, dbias_hh, dtheta, dy0, dh0 = recurrence_backward(
        dy, dh, *ctx.saved_tensors, *ctx.constants, want[1], want[5]
    )
    gradients = (
        dp, dweight if want[1] else None, dbias_ih, dbias_hh, dtheta, dy0 if want[5] else None, dh0,
    )  # fmt: skip
    return *gradients, None, None, None, None, None


recurrence.register_autograd(_recurrence_backward, setup_context=_recurrence_setup)
