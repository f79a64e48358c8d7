"""The two non-smooth operations of the cell and the gradients that stand in for theirs."""

import torch
from torch import Tensor


class _Threshold(torch.autograd.Function):
    @staticmethod
    def forward(ctx, s, height, width):
        ctx.save_for_backward(s)
        ctx.height, ctx.width = height, width
        return (s > 0).to(s.dtype)

    @staticmethod
    def backward(ctx, grad):
        (s,) = ctx.saved_tensors
        return grad * ctx.height * torch.relu(1 - s.abs() / ctx.width), None, None


def threshold_event(s: Tensor, height: float, width: float) -> Tensor:
    """Heaviside step of ``s`` (0 at ``s = 0``), with a triangular surrogate gradient.

    Backward multiplies by ``height * max(0, 1 - |s| / width)``: exactly zero for every
    unit that is ``width`` or more away from its threshold.
    """
    return _Threshold.apply(s, height, width)


class _UnitInterval(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        ctx.save_for_backward(value)
        return value.clamp(0, 1)

    @staticmethod
    def backward(ctx, grad):
        (value,) = ctx.saved_tensors
        # Descent moves against the gradient. A plain clamp would pin a value that has left
        # the interval for ever; this one only blocks steps that lead further out.
        outward = ((value >= 1) & (grad < 0)) | ((value <= 0) & (grad > 0))
        return grad.masked_fill(outward, 0)


def unit_interval(value: Tensor) -> Tensor:
    """Clamp to [0, 1]; gradients that lead back into the interval pass."""
    return _UnitInterval.apply(value)
