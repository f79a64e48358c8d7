"""The C++ core as PyTorch operators: an EGRU layer whose cost is that of its events.

``layer`` is one differentiable operator. It skips exactly what is zero; where so little is zero
that a dense product is faster it calls ``torch.mm`` instead. Weights are wanted transposed in
memory, strides (1, rows), and copied if they are not: an event then reads one row.
docs/performance.md has the rules, the cost model and measurements.
"""

import threading
from collections import Counter
from math import prod

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
    return 1.0 if rows <= 16 else 0.65 if rows <= 32 else 0.5


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


def _zeros(like: Tensor, *shape: int) -> Tensor:
    return _empty(like, *shape).zero_()


class _Workspace(threading.local):
    """Memory for what does not outlive a call, kept for the thread's next one: pages that are new
    to a process have to be cleared by the system first."""

    def __init__(self):
        self.kept: dict[str, Tensor] = {}

    def __call__(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """As ``like.new_empty(shape)``; valid until the same name is asked for again."""
        size = prod(shape)
        held = self.kept.get(name)
        if held is None or held.dtype != like.dtype or not size <= len(held) <= 4 * size:
            del held
            self.kept.pop(name, None)  # so that never both are there
            with torch.inference_mode(False):  # for it may be used outside of that later
                self.kept[name] = held = _empty(like, size)
        return held[:size].view(shape)


_workspace = _Workspace()


def _density(x: Tensor) -> float:
    """Share of non-zeros, estimated from at most about 100 rows spread over ``x``."""
    sample = x[:: max(1, len(x) // 100)]
    return torch.count_nonzero(sample).item() / max(1, sample.numel())


# --- products: x [M, K], weight transposed [K, J] ------------------------------------------------


def _pack(sections: list[Tensor], threads: int) -> Tensor:
    """Matrices (rows, H), side by side, in the order in which the core reads them."""
    rows, units = sections[0].shape
    packed = _workspace("packed", sections[0], _core.packed_size(rows, units, len(sections)))
    _call("pack", packed)(
        packed.data_ptr(), [(s.data_ptr(), s.stride(0)) for s in sections], rows, units, threads
    )
    return packed


class _Inputs:
    """W x of some steps at a time: out [M, 3, padded H] = x [M, C] · by_input [C, 3H]."""

    def __init__(self, by_input: Tensor, rows: int):
        self.by_input = by_input
        self.packed: Tensor | None = None
        self.threads = _threads(rows * by_input.numel() / 10)

    def multiply(self, out: Tensor, x: Tensor) -> None:
        rows, (inputs, columns) = len(x), self.by_input.shape
        density = _density(x)
        if density > _most(gather_dense_from(rows)):
            macs["W x"] += rows * self.by_input.numel()
            for gate, weight in zip(out.unbind(1), self.by_input.chunk(3, 1), strict=True):
                torch.mm(x, weight, out=gate[:, : columns // 3])
            return
        # Rows are used so many times; with fewer, packing them would cost more than it saves.
        if self.packed is None and density * rows > 2:
            self.packed = _pack(list(self.by_input.chunk(3, 1)), self.threads)
        macs["W x"] += _call("product", x)(
            *map(_address, (out, x, self.by_input, self.packed)), rows, inputs, columns // 3,
            self.threads,
        )  # fmt: skip


def _product_dx(dx: Tensor, grad: Tensor, by_input: Tensor, wanted: Tensor | None) -> None:
    """dx [M, K], zeros at first, = grad [M, J] · by_input transposed, where wanted (uint8)."""
    rows, (inputs, columns) = len(grad), by_input.shape
    if wanted is None or _density(wanted) > _most(dots_dense_from(rows)):
        macs["dx"] += rows * by_input.numel()
        torch.mm(grad, by_input.t(), out=dx)
        return
    macs["dx"] += _call("dots", dx)(
        *map(_address, (dx, wanted, grad, by_input)), rows, inputs, columns,
        _threads(rows * by_input.numel()),
    )  # fmt: skip


class _Outer:
    """Gradients of weights: out [K, 3H] += x [M, K] transposed · d [M, 3H].

    d is (dp_r, dp_z, dp_n), of W, or (dp_r, dp_z, dq_n), of R, of the same steps.
    """

    def __init__(self, dp: Tensor, dq_n: Tensor):
        self.dp, self.dq_n = dp, dq_n
        self.packed: Tensor | None = None
        self.threads = _threads(dp.numel() * dq_n.shape[1] / 10)

    def add(self, out: Tensor, x: Tensor, recurrent: bool) -> None:
        rows, inputs = x.shape
        units, name = self.dq_n.shape[1], "dR" if recurrent else "dW"
        density = _density(x)
        if density > _most(gather_dense_from(rows)):
            macs[name] += rows * out.numel()
            if recurrent:
                out[:, : 2 * units].addmm_(x.t(), self.dp[:, : 2 * units])
                out[:, 2 * units :].addmm_(x.t(), self.dq_n)
            else:
                out.addmm_(x.t(), self.dp)
            return
        if self.packed is None:
            self.packed = _pack([*self.dp.chunk(3, 1), self.dq_n], self.threads)
        macs[name] += _call("outer", out)(
            *map(_address, (out, x, self.packed)), 3 if recurrent else 2, rows, inputs, units,
            self.threads,
        )  # fmt: skip


# --- a layer -------------------------------------------------------------------------------------

# Rows (steps times sequences) that one chunk of steps has, about: what only lives between two
# products is never larger than that, and forward it stays in a cache.
FORWARD_ROWS, BACKWARD_ROWS = 4096, 2048


def _layer(
    x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor,
    theta: Tensor, y0: Tensor, h0: Tensor, kept: Tensor | None, wanted: Tensor | None,
    zoneout: float, height: float, width: float, record: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """One layer over inputs ``x`` (T, N, C) from the state (y0, h0), each (N, H).

    ``kept`` (uint8, (T, N, H)) are the units that zoneout keeps in training; without it
    ``zoneout`` is the share kept of every state. ``wanted`` (uint8, as ``x``) tells where the
    gradient of x is needed; without it, everywhere.

    Returns ``(y, h, tape, near, nearby)``: events (T, N, H) and last state; and with ``record``,
    for the backward pass, r, z, g, q_n and c of every unit and step, the units with an event
    or inside the surrogate's window (uint8, (T, N, H)), and how many those are per step.
    """
    steps, count, size = *x.shape[:2], weight_hh.shape[1]
    by_input, by_unit = weight_ih.t().contiguous(), weight_hh.t().contiguous()
    x, bias_ih, bias_hh, theta, y0 = (v.contiguous() for v in (x, bias_ih, bias_hh, theta, y0))
    h = h0.clone(memory_format=torch.contiguous_format)
    kept = None if kept is None else kept.contiguous()
    y = _empty(x, steps, count, size)
    tape = _empty(x, *((steps, count, 5, size) if record else (0,)))
    near = x.new_empty((steps, count, size) if record else 0, dtype=torch.uint8)
    nearby = x.new_zeros(steps if record else 0, dtype=torch.int64)
    q = _workspace("q", x, count, 3, _core.padded(size))
    threads = _threads(count * weight_hh.numel())
    scratch = torch.empty(_call("forward_scratch", x)(count, size, threads), dtype=torch.uint8)
    packed: Tensor | None = None
    if count >= 4 and steps >= 4:
        packed = _workspace("R", x, _core.packed_size(size, size, 3))
    is_packed = torch.zeros(1, dtype=torch.bool)
    run, limit = _call("forward", x), int(_most(gather_dense_from(count)) * count * size)
    # With a backward pass to come, which uses the same memory, no more than that will need.
    chunk = max(1, min(steps, (BACKWARD_ROWS if record else FORWARD_ROWS) // max(1, count)))
    p = _workspace("gates", x, chunk * count, 3, _core.padded(size))
    product = _Inputs(by_input, chunk * count)
    for first in range(0, steps, chunk):
        length = min(chunk, steps - first)
        now = slice(first, first + length)
        product.multiply(p[: length * count], x[now].view(length * count, -1))
        before = y[first - 1] if first else y0
        arguments = (
            length, count, size, *map(_address, (by_unit, bias_ih, bias_hh, theta)),
            0 if kept is None else kept[now].data_ptr(), zoneout, width,
            *map(_address, (p, before, y[now], h)),
            *((v[now].data_ptr() for v in (tape, near, nearby)) if record else (0, 0, 0)),
            *map(_address, (q, packed, is_packed, scratch)),
        )  # fmt: skip
        step, given = 0, False
        while True:
            step, done = run(*arguments, step, given, limit, threads)
            macs["R y"] += done
            if step == length:
                break
            last = y[first + step - 1] if step else before
            for gate, *b in zip(q.unbind(1), bias_hh.chunk(3), by_unit.chunk(3, 1), strict=True):
                torch.addmm(b[0], last, b[1], out=gate[:, :size])
            macs["R y"] += count * weight_hh.numel()
            given = True
    return y, h, tape, near, nearby


operator = torch.library.custom_op("egru::layer", _layer, mutates_args=())


def layer(x: Tensor, *others) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The operator; called past PyTorch's dispatcher, which costs as much as a small step, where
    there are no gradients to record and nothing is traced."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or type(x) is not Tensor:
        return operator(x, *others)
    return _layer(x, *others)


@operator.register_fake
def _(
    x, weight_ih, weight_hh, bias_ih, bias_hh, theta, y0, h0, kept, wanted, zoneout, height, width,
    record,
):  # fmt: skip
    steps, count, size = x.shape[0], x.shape[1], weight_hh.shape[1]
    return (
        x.new_empty(steps, count, size),
        x.new_empty(count, size),
        x.new_empty((steps, count, 5, size) if record else 0),
        x.new_empty((steps, count, size) if record else 0, dtype=torch.uint8),
        x.new_empty(steps if record else 0, dtype=torch.int64),
    )


@torch.library.custom_op("egru::layer_backward", mutates_args=())
def layer_backward(
    dy: Tensor | None, dh: Tensor | None, x: Tensor, weight_ih: Tensor, weight_hh: Tensor,
    theta: Tensor, y0: Tensor, h0: Tensor, kept: Tensor | None, wanted: Tensor | None, y: Tensor,
    tape: Tensor, near: Tensor, nearby: Tensor, zoneout: float, height: float, width: float,
    want: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of ``x, weight_ih, weight_hh, bias_ih, bias_hh, theta, y0, h0``.

    Of ``want``, for (x, weight_ih, weight_hh, y0), those that are False are empty.
    """
    want_x, want_weight_ih, want_weight_hh, want_y0 = want
    steps, count, size = y.shape
    inputs = x.shape[2]
    by_input, by_unit = weight_ih.t().contiguous(), weight_hh.t().contiguous()
    x, theta, y0, h0 = x.contiguous(), theta.contiguous(), y0.contiguous(), h0.contiguous()
    kept = None if kept is None else kept.contiguous()
    dy = None if dy is None else dy.contiguous()
    dh0 = torch.zeros_like(h0) if dh is None else dh.clone(memory_format=torch.contiguous_format)
    dx = _zeros(y, *((steps, count, inputs) if want_x else (0,)))
    dweight_ih = _zeros(y, *((inputs, 3 * size) if want_weight_ih else (0, 0)))
    dweight_hh = _zeros(y, *((size, 3 * size) if want_weight_hh else (0, 0)))
    dtheta = y.new_zeros(size)
    dbias_ih, dbias_hh = y.new_zeros(3 * size), y.new_zeros(3 * size)
    ybar = y.new_zeros(count, size)
    # Gradients of a chunk of steps, and of the step after it.
    chunk = max(1, min(steps, BACKWARD_ROWS // max(1, count)))
    dp = _workspace("gates", y, chunk + 1, count, 3 * size)
    dq_n = _workspace("dq_n", y, chunk + 1, count, size)
    run, threads = _call("backward", y), _threads(count * weight_hh.numel())
    limit = int(_most(dots_dense_from(count)) * count * size)

    def recurrent_gradient(row: int) -> None:
        torch.mm(dp[row, :, : 2 * size], by_unit[:, : 2 * size].t(), out=ybar)
        ybar.addmm_(dq_n[row], by_unit[:, 2 * size :].t())
        macs["Rt dq"] += count * weight_hh.numel()

    step, given = steps - 1, True
    while step >= 0:
        first = max(0, step + 1 - chunk)
        length = step + 1 - first
        arguments = (
            first, count, size, *map(_address, (by_unit, theta, h0, kept)), zoneout, height, width,
            *map(_address, (tape, near, nearby, dy, dh0, ybar, dp, dq_n)),
            *map(_address, (dtheta, dbias_ih, dbias_hh)),
        )  # fmt: skip
        while True:
            step, done = run(*arguments, step, given, limit, threads)
            macs["Rt dq"] += done
            if step < first:
                break
            recurrent_gradient(step + 1 - first)
            given = True
        given = False
        flat_dp, flat_dq_n = dp[:length].view(-1, 3 * size), dq_n[:length].view(-1, size)
        flat_x = x[first : first + length].view(-1, inputs)
        if want_x:
            to, where = dx[first : first + length].view(-1, inputs), None
            if wanted is not None:
                where = wanted[first : first + length].contiguous()
            _product_dx(to, flat_dp, by_input, where)
        outer = _Outer(flat_dp, flat_dq_n)
        if want_weight_ih:
            outer.add(dweight_ih, flat_x, recurrent=False)
        if want_weight_hh:
            # The events that the chunk's steps started from.
            before = torch.empty_like(y[:length])
            before[0] = y[first - 1] if first else y0
            before[1:] = y[first : first + length - 1]
            outer.add(dweight_hh, before.view(-1, size), recurrent=True)
        if first:
            after = min(chunk, first)  # the next chunk's length, perhaps shorter
            dp[after], dq_n[after] = dp[0], dq_n[0]
    if want_y0:
        recurrent_gradient(0)
    dy0 = ybar if want_y0 else y.new_empty(0)
    return dx, dweight_ih.t(), dweight_hh.t(), dbias_ih, dbias_hh, dtheta, dy0, dh0


@layer_backward.register_fake
def _(
    dy, dh, x, weight_ih, weight_hh, theta, y0, h0, kept, wanted, y, tape, near, nearby, zoneout,
    height, width, want,
):  # fmt: skip
    steps, count, size = y.shape
    inputs, columns = x.shape[2], 3 * size
    want_x, want_weight_ih, want_weight_hh, want_y0 = want
    return (
        y.new_empty((steps, count, inputs) if want_x else 0),
        y.new_empty((inputs, columns) if want_weight_ih else (0, 0)).t(),
        y.new_empty((size, columns) if want_weight_hh else (0, 0)).t(),
        y.new_empty(columns),
        y.new_empty(columns),
        y.new_empty(size),
        y.new_empty((count, size) if want_y0 else 0),
        y.new_empty(count, size),
    )


def _setup_context(ctx, inputs, output):
    x, weight_ih, weight_hh, _, _, theta, y0, h0, kept, wanted, *ctx.constants, _ = inputs
    y, _, tape, near, nearby = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(tape, near, nearby)
    ctx.save_for_backward(
        x, weight_ih, weight_hh, theta, y0, h0, kept, wanted, y, tape, near, nearby
    )


def _backward(ctx, dy, dh, *_):
    need = ctx.needs_input_grad
    want = [need[0], need[1], need[2], need[6]]
    dx, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtheta, dy0, dh0 = layer_backward(
        dy, dh, *ctx.saved_tensors, *ctx.constants, want
    )
    gradients = (dx, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dtheta, dy0, dh0)
    chosen = (g if wanted else None for g, wanted in zip(gradients, need, strict=False))
    return *chosen, *(None,) * 6


operator.register_autograd(_backward, setup_context=_setup_context)
