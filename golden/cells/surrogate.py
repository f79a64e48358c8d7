"""Non-differentiable operations with surrogate gradients."""

import torch
from torch import Tensor
from torch.autograd import forward_ad


class _Function(torch.autograd.Function):
    """A function of a tensor and constants that torch.func can transform."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx, inputs, output):
        value, *ctx.constants = inputs
        ctx.save_for_backward(value)


class _Threshold(_Function):
    @staticmethod
    def forward(s, height, width):
        return (s > 0).to(s.dtype)

    @staticmethod
    def backward(ctx, grad):
        (s,), (height, width) = ctx.saved_tensors, ctx.constants
        return grad * height * torch.relu(1 - s.abs() / width), None, None


def threshold_event(s: Tensor, height: float, width: float) -> Tensor:
    """Heaviside step of ``s`` (0 at ``s = 0``), with a triangular surrogate gradient.

    Backward multiplies by ``height * max(0, 1 - |s| / width)``: exactly zero for every
    unit that is ``width`` or more away from its threshold.
    """
    if not _is_forward_mode():
        return _Threshold.apply(s, height, width)
    u = (s / width).clamp(-1, 1)
    integral = height * width * (u - u * u.abs() / 2)  # of the surrogate derivative
    return (s > 0).to(s.dtype) + (integral - integral.detach())


class _Interval(_Function):
    @staticmethod
    def forward(value, low, high):
        return value.clamp(low, high)

    @staticmethod
    def backward(ctx, grad):
        (value,), (low, high) = ctx.saved_tensors, ctx.constants
        # Descent moves against the gradient. A plain clamp would pin a value that has left
        # the interval for ever; this one only blocks steps that lead further out.
        outward = ((value >= high) & (grad < 0)) | ((value <= low) & (grad > 0))
        return grad.masked_fill(outward, 0), None, None


def interval(value: Tensor, low: float, high: float) -> Tensor:
    """Clamp to [low, high]; gradients that lead back into the interval pass."""
    if not torch.is_grad_enabled() or _is_forward_mode():
        return value.clamp(low, high)
    return _Interval.apply(value, low, high)


def _is_forward_mode() -> bool:
    """Whether forward-mode differentiation is active. PyTorch's compiler does not support it for
    autograd functions."""
    return forward_ad._current_level >= 0


def unit_interval(value: Tensor) -> Tensor:
    """:func:`interval` of [0, 1]."""
    return interval(value, 0, 1)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, rounded):
        return rounded.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """``rounded`` in the forward pass; its gradient passes unchanged to ``value``."""
    return _StraightThrough.apply(value, rounded)
