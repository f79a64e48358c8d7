"""The backward pass of a layer, in chunks of steps: the steps, then their share of dW, dR, dx."""

import torch
from torch import Tensor

from golden.core import memory, policy
from golden.core._core import packed_size
from golden.core.counting import count as count_macs_of
from golden.core.kernels import address, kernels_for
from golden.core.products import WeightGradients, input_gradient


def _shapes(like: Tensor, chunk: int, count: int, size: int) -> memory.Shapes:
    """dp and dq_n of a chunk and of the step after it, and both packed."""
    steps = chunk + 1
    return (
        (steps, count, 3 * size),
        (steps, count, size),
        (packed_size(chunk * count, size, 4),),
    )


def backward(
    dy: Tensor | None, dh: Tensor | None, x: Tensor, weight_ih: Tensor, weight_hh: Tensor,
    theta: Tensor, y0: Tensor, h0: Tensor, kept: Tensor | None, wanted: Tensor | None, y: Tensor,
    tape: Tensor, near: Tensor, nearby: Tensor, zoneout: float, height: float, width: float,
    want: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of ``x, weight_ih, weight_hh, bias_ih, bias_hh, theta, y0, h0``.

    ``want`` has a flag for each of (x, weight_ih, weight_hh, y0): where it is False the gradient
    is empty.
    """
    want_x, want_weight_ih, want_weight_hh, want_y0 = want
    steps, count, size = y.shape
    inputs = x.shape[2]
    by_input, by_unit = weight_ih.t().contiguous(), weight_hh.t().contiguous()
    x, theta, y0, h0 = x.contiguous(), theta.contiguous(), y0.contiguous(), h0.contiguous()
    kept = None if kept is None else kept.contiguous()
    dy = None if dy is None else dy.contiguous()
    dh0 = torch.zeros_like(h0) if dh is None else dh.clone(memory_format=torch.contiguous_format)
    dx = memory.zeros(y, *((steps, count, inputs) if want_x else (0,)))
    dweight_ih = None if want_weight_ih else y.new_empty(0, 0)
    dweight_hh = None if want_weight_hh else y.new_empty(0, 0)
    dtheta = y.new_zeros(size)
    dbias_ih, dbias_hh = y.new_zeros(3 * size), y.new_zeros(3 * size)
    ybar = y.new_zeros(count, size)
    chunk = policy.chunk(steps, count, backward=True)
    *both, packed = memory.buffers(y, _shapes, chunk, count, size)
    dp, dq_n = (buffer.tensor() for buffer in both)
    kernels, threads = kernels_for(y), policy.threads(count * weight_hh.numel())
    layer = kernels.Backward(
        count=count, units=size, weight=address(by_unit), theta=address(theta),
        kept=address(kept), zoneout=zoneout, width=width, height=height, h0=address(h0),
        tape=address(tape), near=address(near), nearby=address(nearby), dy=address(dy),
        dh=address(dh0), ybar=address(ybar), dp=address(dp), dq_n=address(dq_n),
        dtheta=address(dtheta), dbias_ih=address(dbias_ih), dbias_hh=address(dbias_hh),
    )  # fmt: skip
    limit = int(policy.most_wanted(count) * count * size)

    def recurrent_gradient(row: int) -> None:
        torch.mm(dp[row, :, : 2 * size], by_unit[:, : 2 * size].t(), out=ybar)
        ybar.addmm_(dq_n[row], by_unit[:, 2 * size :].t())
        count_macs_of("Rt dq", count * weight_hh.numel())

    step, given = steps - 1, True
    while step >= 0:
        first, last = max(0, step + 1 - chunk), step
        layer.first = first
        while True:
            step, done = kernels.backward(layer, step, given, limit, threads)
            count_macs_of("Rt dq", done)
            if step < first:
                break
            recurrent_gradient(step + 1 - first)
            given = True
        given = False
        length = last + 1 - first
        flat_dp, flat_dq_n = dp[:length].view(-1, 3 * size), dq_n[:length].view(-1, size)
        if want_x:
            where = None if wanted is None else wanted[first : last + 1].contiguous()
            input_gradient(dx[first : last + 1].view(-1, inputs), flat_dp, by_input, where)
        gradients = WeightGradients(flat_dp, flat_dq_n, packed)
        if want_weight_ih:
            flat_x = x[first : last + 1].view(-1, inputs)
            dweight_ih = gradients.add(dweight_ih, flat_x, recurrent=False)
        if want_weight_hh:
            # The events that the chunk's steps read.
            before = y[first - 1 : last] if first else torch.cat([y0[None], y[:last]])
            dweight_hh = gradients.add(dweight_hh, before.view(-1, size), recurrent=True)
        if first:
            after = min(chunk, first)  # the next chunk's length, perhaps shorter
            dp[after], dq_n[after] = dp[0], dq_n[0]
    if want_y0:
        recurrent_gradient(0)
    dy0 = ybar if want_y0 else y.new_empty(0)
    assert dweight_ih is not None  # there is at least one step
    assert dweight_hh is not None
    return dx, dweight_ih.t(), dweight_hh.t(), dbias_ih, dbias_hh, dtheta, dy0, dh0
