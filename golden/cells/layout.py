"""How weights lie in memory."""

import torch
from torch import Tensor


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight):
        return weight.t().contiguous().t()

    @staticmethod
    def backward(ctx, grad):
        return grad.contiguous()


def transposed(weight: Tensor) -> Tensor:
    """``weight`` with its columns one after the other in memory, as the core reads them: a copy,
    if they are not. The gradient is contiguous, as users of a contiguous weight expect.
    """
    if weight.stride(0) == 1:
        return weight
    if not torch.is_grad_enabled():
        return weight.t().contiguous().t()
    return _Transposed.apply(weight)
