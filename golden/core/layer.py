"""The C++ core as PyTorch operators: an EGRU layer whose cost is that of its events.

``layer`` is one differentiable operator. It skips exactly what is zero; where so little is zero
that a dense product is faster it calls ``torch.mm`` instead. Weights are wanted transposed in
memory, strides (1, rows), and copied if they are not: an event then reads one row.
docs/performance.md has the rules, the cost model and measurements.
"""

import mmap
import threading
from collections import Counter
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from golden.core import _core  # type: ignore[attr-defined]

Shapes = tuple[tuple[int, ...], ...]

vector_extensions, use_vector_extension = _core.vector_extensions, _core.use_vector_extension

# "auto" follows the cost model; "dense" and "sparse" are for tests and benchmarks.
policy = "auto"
# Multiply-accumulates done in products since the last clear(), by product.
macs: Counter[str] = Counter()


def gather_dense_from(rows: int, weights: int) -> float:
    """Share of events from which a dense product of ``rows`` rows with a matrix of so many bytes
    is faster: R y, W x, dR, dW.

    A dense product keeps a weight in a register for many rows, one with events reads it from
    the second-level cache for every event. With few rows both read every weight they use once,
    of which a dense product does more a second if they come from further away.
    """
    if rows <= FEW_ROWS:
        return 1.0 if weights <= SECOND_LEVEL else 0.7
    return 0.65 if rows <= 32 else 0.5


def dots_dense_from(rows: int) -> float:
    """The same for products of which only some elements are wanted: transposed R dq, dx."""
    return 0.65 if rows <= 64 else 0.4


FEW_ROWS = 16  # that read a weight too seldom to make it worth packing
SECOND_LEVEL = 1 << 21  # bytes that stay in a second-level cache
LARGE = 1 << 22  # bytes from which on large pages are asked for
CELL = 100  # multiply-accumulates that take as long as one unit's activations and threshold


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
    if tensor.nbytes >= LARGE:
        _core.large_pages(tensor.data_ptr(), tensor.nbytes)
    return tensor


def _zeros(like: Tensor, *shape: int) -> Tensor:
    return _empty(like, *shape).zero_()


def _sparse_zeros(like: Tensor, *shape: int) -> Tensor:
    """Zeros, straight from the system: memory is taken, a page at a time, by what is written."""
    memory = mmap.mmap(-1, prod(shape) * like.itemsize)
    return torch.frombuffer(memory, dtype=like.dtype).view(shape)


class _Room:
    """An array in memory that does not outlive the call."""

    __slots__ = ("address", "memory", "shape", "start", "views")

    def __init__(self, memory: Tensor, start: int, shape: tuple[int, ...]):
        self.memory, self.start, self.shape = memory, start, shape
        self.address = memory.data_ptr() + start * memory.itemsize
        self.views: dict[tuple[int, ...], Tensor] = {}

    def tensor(self, *shape: int) -> Tensor:
        """The array, or at its beginning a smaller one of another shape."""
        shape = shape or self.shape
        if shape not in self.views:
            self.views[shape] = self.memory[self.start : self.start + prod(shape)].view(shape)
        return self.views[shape]


class _Arena(threading.local):
    """Memory kept for the thread's next call: pages that are new to a process have to be cleared
    by the system first."""

    memory: Tensor | None = None
    key: tuple = ()
    rooms: list[_Room]

    def __init__(self) -> None:
        self.flags = bytearray(2)
        self.flags_address = torch.frombuffer(self.flags, dtype=torch.uint8).data_ptr()

    def __call__(self, like: Tensor, shapes_of: Callable[..., Shapes], *sizes: int) -> list[_Room]:
        """Uninitialised, aligned arrays of the type of ``like`` and of the shapes
        ``shapes_of(like, *sizes)``; valid until the next call."""
        key = (shapes_of, like.dtype, sizes)
        if key == self.key:
            return self.rooms
        shapes = shapes_of(like, *sizes)
        starts = [0]
        for shape in shapes:
            starts.append(starts[-1] + (prod(shape) + 15) // 16 * 16)
        size, held = starts[-1], self.memory
        if held is None or held.dtype != like.dtype or not size <= len(held) <= 4 * size + LARGE:
            self.memory = held = None  # so that never both are there
            with torch.inference_mode(False):  # for it may be used outside of that later
                self.memory = held = _empty(like, size)
        self.key = key
        self.rooms = [_Room(held, *room) for room in zip(starts, shapes, strict=False)]
        return self.rooms


_arena = _Arena()


# --- products ------------------------------------------------------------------------------------


def _product_dx(dx: Tensor, grad: Tensor, by_input: Tensor, wanted: Tensor | None) -> None:
    """dx [M, K], zeros at first, = grad [M, J] · by_input transposed, where wanted (uint8)."""
    rows, (inputs, columns) = len(grad), by_input.shape
    if wanted is None or (
        torch.count_nonzero(wanted).item() > _most(dots_dense_from(rows)) * wanted.numel()
    ):
        macs["dx"] += rows * by_input.numel()
        torch.mm(grad, by_input.t(), out=dx)
        return
    macs["dx"] += _call("dots", dx)(
        *map(_address, (dx, wanted, grad, by_input)), rows, inputs, columns,
        _threads(rows * by_input.numel()),
    )  # fmt: skip


# With few rows the time of a gradient of weights is that of its memory, not of its sums. From this
# share of inputs with an event on, writing all of it at once is faster than a row for each.
FEW_ROWS_DENSE_FROM = 0.08


class _Outer:
    """Gradients of weights: x [M, K] transposed · d [M, 3H].

    d is (dp_r, dp_z, dp_n), of W, or (dp_r, dp_z, dq_n), of R, of the same steps.
    """

    def __init__(self, dp: Tensor, dq_n: Tensor, packed: _Room):
        self.dp, self.dq_n, self.packed = dp, dq_n, packed
        self.is_packed = torch.zeros(1, dtype=torch.bool)
        self.threads = _threads(dp.numel() * dq_n.shape[1] / 10)  # for a tenth of events

    def add(self, out: Tensor | None, x: Tensor, recurrent: bool) -> Tensor:
        """``out`` [K, 3H], changed in place, or zeros for None, and the product."""
        (rows, inputs), units = x.shape, self.dq_n.shape[1]
        name = "dR" if recurrent else "dW"
        if out is None and rows <= FEW_ROWS:
            with_events = x.any(0).count_nonzero().item()
            if with_events > _most(FEW_ROWS_DENSE_FROM) * inputs:
                macs[name] += rows * inputs * 3 * units
                return torch.mm(x.t(), self._right(recurrent), out=_empty(x, inputs, 3 * units))
            out = _sparse_zeros(x, inputs, 3 * units)
        elif out is None:
            out = _zeros(x, inputs, 3 * units)
        done = _call("outer", out)(
            *map(_address, (out, x, self.dp, self.dq_n)), recurrent, self.packed.address,
            self.is_packed.data_ptr(), rows, inputs, units,
            int(_most(gather_dense_from(rows, out.nbytes)) * x.numel()), self.threads,
        )  # fmt: skip
        if done < 0:
            macs[name] += rows * out.numel()
            return out.addmm_(x.t(), self._right(recurrent))
        macs[name] += done
        return out

    def _right(self, recurrent: bool) -> Tensor:
        if not recurrent:
            return self.dp
        return torch.cat([self.dp[:, : 2 * self.dq_n.shape[1]], self.dq_n], 1)


# --- a layer -------------------------------------------------------------------------------------

# Rows (steps times sequences) that one chunk of steps has, about: what only lives between two
# products is never larger than that.
FORWARD_ROWS, BACKWARD_ROWS = 8192, 2048


def _forward_shapes(
    like: Tensor, chunk: int, count: int, inputs: int, size: int, threads: int, pack_units: bool
) -> Shapes:
    """W x of a chunk, R y of a step, both packed, and the events of two steps."""
    pitch = _core.padded(size)
    return (
        (chunk * count, 3, pitch),
        (count, 3, pitch),
        (_core.packed_size(inputs, size, 3),),
        (_core.packed_size(size, size, 3) if pack_units else 0,),
        (_call("forward_scratch", like)(count, size, threads) // like.itemsize + 1,),
    )


def _backward_shapes(like: Tensor, chunk: int, count: int, size: int) -> Shapes:
    """dp and dq_n of a chunk and of the step after it, and both packed."""
    steps = chunk + 1
    return (
        (steps, count, 3 * size),
        (steps, count, size),
        (_core.packed_size(chunk * count, size, 4),),
    )


def _step(tensor: Tensor | None, step: int) -> int:
    """The address of a step, the first index of ``tensor``; 0 for none."""
    if tensor is None:
        return 0
    return tensor.data_ptr() + step * tensor.stride(0) * tensor.itemsize


def _forward(
    x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor,
    theta: Tensor, y0: Tensor, h0: Tensor, kept: Tensor | None, wanted: Tensor | None,
    zoneout: float, height: float, width: float, record: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """As ``_layer``, with None for what is not recorded."""
    steps, count, inputs = x.shape
    size = weight_hh.shape[1]
    by_input, by_unit = weight_ih.t().contiguous(), weight_hh.t().contiguous()
    x, bias_ih, bias_hh, theta, y0 = (v.contiguous() for v in (x, bias_ih, bias_hh, theta, y0))
    h = h0.clone(memory_format=torch.contiguous_format)
    kept = None if kept is None else kept.contiguous()
    y = _empty(x, steps, count, size)
    tape = near = nearby = None
    if record:
        tape = _empty(x, steps, count, 5, size)
        near = x.new_empty((steps, count, size), dtype=torch.uint8)
        nearby = x.new_zeros(steps, dtype=torch.int64)

    # With a backward pass to come, which uses the same memory, no more than that will need.
    chunk = max(1, min(steps, (BACKWARD_ROWS if record else FORWARD_ROWS) // max(1, count)))
    threads = _threads(count * weight_hh.numel())
    # As if half of the inputs were events: with fewer, threads too many cost little.
    input_threads = _threads(chunk * count * weight_ih.numel() / 2)
    worth_packing = count >= 4 and steps >= 4
    pitch = _core.padded(size)  # of gates, but in what a dense product makes
    p, q, packed_inputs, packed_units, scratch = _arena(
        x, _forward_shapes, chunk, count, inputs, size, threads, worth_packing
    )
    _arena.flags[:] = bytes(2)
    is_packed = _arena.flags_address
    product, run = _call("product", x), _call("forward", x)
    input_share = _most(gather_dense_from(chunk * count, by_input.nbytes))
    limit = int(_most(gather_dense_from(count, by_unit.nbytes)) * count * size)
    layer = (count, size, *map(_address, (by_unit, bias_ih, bias_hh, theta)))
    for first in range(0, steps, chunk):
        length = min(chunk, steps - first)
        rows, p_gate = length * count, pitch
        # So that the recurrence, panel by panel, reads what lies together; a step by itself may
        # have other threads.
        in_panels = worth_packing and length > 1 and threads == input_threads
        done = product(
            p.address, in_panels, _step(x, first), by_input.data_ptr(), packed_inputs.address,
            is_packed, rows, inputs, size, int(input_share * rows * inputs), input_threads,
        )  # fmt: skip
        if done < 0:
            flat_x = x[first : first + length].view(rows, inputs)
            torch.mm(flat_x, by_input, out=p.tensor(rows, 3 * size))
            done, p_gate = rows * by_input.numel(), size
        elif in_panels and _arena.flags[0]:
            p_gate = 0
        macs["W x"] += done
        arguments = (
            length, *layer, _step(kept, first), zoneout, width, p.address, p_gate,
            _step(y, first - 1) if first else y0.data_ptr(), _step(y, first), h.data_ptr(),
            _step(tape, first), _step(near, first), _step(nearby, first), q.address,
            packed_units.address if worth_packing else 0, is_packed + 1, scratch.address,
        )  # fmt: skip
        step, given = 0, False
        while True:
            # Of a single step from a dense product only the cell is left.
            only_cell = given and length == 1
            team = _threads(CELL * count * size) if only_cell else threads
            step, done = run(*arguments, step, given, limit, team)
            macs["R y"] += done
            if step == length:
                break
            last = y[first + step - 1] if first + step else y0
            torch.addmm(bias_hh, last, by_unit, out=q.tensor(count, 3 * size))
            macs["R y"] += count * weight_hh.numel()
            given = True
    return y, h, tape, near, nearby


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
    y, h, tape, near, nearby = _forward(
        x, weight_ih, weight_hh, bias_ih, bias_hh, theta, y0, h0, kept, wanted, zoneout, height,
        width, record,
    )  # fmt: skip
    if tape is None or near is None or nearby is None:
        tape, near = x.new_empty(0), x.new_empty(0, dtype=torch.uint8)
        nearby = x.new_empty(0, dtype=torch.int64)
    return y, h, tape, near, nearby


operator = torch.library.custom_op("egru::layer", _layer, mutates_args=())


def layer(x: Tensor, *others) -> tuple:
    """The operator; or, where there are no gradients to record and nothing is traced, what it
    does, with None for what is not recorded: PyTorch's dispatcher costs as much as a small step.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or type(x) is not Tensor:
        return operator(x, *others)
    return _forward(x, *others)


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
    dweight_ih = None if want_weight_ih else y.new_empty(0, 0)
    dweight_hh = None if want_weight_hh else y.new_empty(0, 0)
    dtheta = y.new_zeros(size)
    dbias_ih, dbias_hh = y.new_zeros(3 * size), y.new_zeros(3 * size)
    ybar = y.new_zeros(count, size)
    # Gradients of a chunk of steps, and of the step after it.
    chunk = max(1, min(steps, BACKWARD_ROWS // max(1, count)))
    *both, packed = _arena(y, _backward_shapes, chunk, count, size)
    dp, dq_n = (room.tensor() for room in both)
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
        outer = _Outer(flat_dp, flat_dq_n, packed)
        if want_weight_ih:
            dweight_ih = outer.add(dweight_ih, flat_x, recurrent=False)
        if want_weight_hh:
            # The events that the chunk's steps started from.
            last = first + length - 1
            before = y[first - 1 : last] if first else torch.cat([y0[None], y[:last]])
            dweight_hh = outer.add(dweight_hh, before.view(-1, size), recurrent=True)
        if first:
            after = min(chunk, first)  # the next chunk's length, perhaps shorter
            dp[after], dq_n[after] = dp[0], dq_n[0]
    if want_y0:
        recurrent_gradient(0)
    dy0 = ybar if want_y0 else y.new_empty(0)
    assert dweight_ih is not None  # there is at least one step
    assert dweight_hh is not None
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
