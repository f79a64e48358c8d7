"""A layer and its backward pass as PyTorch operators."""

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from golden.core.backward import backward
from golden.core.forward import forward


@torch.library.custom_op("egru::layer", mutates_args=())
def layer_forward(
    x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor,
    theta: Tensor, y0: Tensor, h0: Tensor, kept: Tensor | None, wanted: Tensor | None,
    zoneout: float, height: float, width: float, record: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """One layer over inputs ``x`` (T, N, C) from the state (y0, h0), each (N, H).

    Weights (3H, C) and (3H, H) should have strides (1, 3H), so that an event reads one contiguous
    row; those with other strides are copied. Tensors are float32 or float64.

    ``kept`` (uint8, (T, N, H)) marks the units that zoneout keeps in training; without it
    ``zoneout`` is the share kept of every state. ``wanted`` (uint8, as ``x``) marks where the
    gradient of x is needed; without it, everywhere. ``height`` and ``width`` are those of the
    surrogate derivative.

    Returns ``(y, h, tape, near, nearby)``: events (T, N, H) and last state (N, H); with ``record``,
    for the backward pass, r, z, g, q_n and c of every unit and step (T, N, 5, H), the units with
    an event or inside the surrogate's window (uint8, (T, N, H)), and their number per step.
    """
    y, h, tape, near, nearby = forward(
        x, weight_ih, weight_hh, bias_ih, bias_hh, theta, y0, h0, kept, wanted, zoneout, height,
        width, record,
    )  # fmt: skip
    if tape is None or near is None or nearby is None:
        tape, near = x.new_empty(0), x.new_empty(0, dtype=torch.uint8)
        nearby = x.new_empty(0, dtype=torch.int64)
    return y, h, tape, near, nearby


def layer(*arguments) -> tuple:
    """Calls :func:`layer_forward`, or its implementation if no gradient is recorded and nothing is
    traced: PyTorch's dispatcher takes as long as a small step. What is not recorded is then
    None."""
    if (
        torch.is_grad_enabled()
        or torch.compiler.is_compiling()
        or type(arguments[0]) is not Tensor
        or is_in_torch_dispatch_mode()
    ):
        return layer_forward(*arguments)
    return forward(*arguments)


def is_transformed() -> bool:
    """Whether torch.func or forward mode is active, which the operator does not support."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


@layer_forward.register_fake
def _(x, weight_ih, weight_hh, *others):
    *_, record = others
    steps, count, size = x.shape[0], x.shape[1], weight_hh.shape[1]
    return (
        x.new_empty(steps, count, size),
        x.new_empty(count, size),
        x.new_empty((steps, count, 5, size) if record else 0),
        x.new_empty((steps, count, size) if record else 0, dtype=torch.uint8),
        x.new_empty(steps if record else 0, dtype=torch.int64),
    )


layer_backward = torch.library.custom_op("egru::layer_backward", backward, mutates_args=())


@layer_backward.register_fake
def _(dy, dh, x, weight_ih, weight_hh, theta, y0, h0, kept, wanted, y, *others):
    *_, want = others
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


def _second_backward(ctx, *_):
    raise RuntimeError(
        "the C++ core has first derivatives only: make the EGRU with backend='torch' to "
        "differentiate its gradients"
    )


layer_backward.register_autograd(_second_backward)


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
    gradients = layer_backward(dy, dh, *ctx.saved_tensors, *ctx.constants, want)
    chosen = (g if needed else None for g, needed in zip(gradients, need, strict=False))
    return *chosen, *(None,) * 6


layer_forward.register_autograd(_backward, setup_context=_setup_context)
