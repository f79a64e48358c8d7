"""A layer of the integer model as a differentiable function, to train exactly what runs.

The forward pass is :func:`golden.integer.layer_steps`, the specification itself. It returns
real numbers, which float32 holds exactly in all formats. The backward pass is that of
:mod:`golden.cells.event_gru`, evaluated at the integer model's gates, states and events:
rounding and saturation are straight-through, tables have the derivatives of their functions,
and the threshold has its surrogate gradient.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from golden.integer import IntegerLayer, layer_steps
from golden.integer.numerics import EVENT, GATE, RECURRENT_GATE_INPUT, STATE, Format
from golden.quantization.scales import to_numpy

FORMATS = (EVENT, STATE, STATE, GATE, GATE, RECURRENT_GATE_INPUT, STATE)  # of Units


class _IntegerLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x, y0, h0, weight_ih, weight_hh, bias, threshold, last,
        layer, value_format, height, width,
    ):  # fmt: skip
        tape = torch.empty(len(FORMATS), *x.shape[:2], layer.hidden_size, dtype=x.dtype)
        values = value_format.quantize(to_numpy(x.transpose(0, 1)))
        state = EVENT.quantize(to_numpy(y0)), STATE.quantize(to_numpy(h0))
        to = tape.numpy()
        for t, units in enumerate(layer_steps(layer, values, *state)):
            for row, raw in enumerate(units):
                to[row, t] = raw
        for row, form in zip(tape, FORMATS, strict=True):
            row.mul_(form.scale)
        tape = tape.to(x.device)
        y, h = tape[:2]
        ctx.save_for_backward(x, y0, h0, weight_ih, weight_hh, threshold, last, tape)
        ctx.height, ctx.width = height, width
        steps = torch.arange(len(y), device=x.device)[:, None, None]
        return y.masked_fill(steps > last[:, None], 0), h[last, range(len(last))]

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, dh_last):
        x, y0, h0, weight_ih, weight_hh, threshold, last, tape = ctx.saved_tensors
        steps, count, size = tape.shape[1:]
        dy_later, dthreshold = torch.zeros_like(y0), torch.zeros_like(threshold)
        dh = torch.zeros_like(dh_last)
        # dp and dq of all steps, as (r, z, n); they differ in n only.
        dp, dq = (dy.new_empty(steps, count, 3, size) for _ in range(2))
        for t in reversed(range(steps)):
            y, _, c, r, z, q, g = tape[:, t]
            h_before = tape[1, t - 1] if t else h0
            dy_t = dy[t].masked_fill((t > last)[:, None], 0) + dy_later
            dh = torch.where((t == last)[:, None], dh_last, dh)
            fires = y != 0
            psi = ctx.height * torch.relu(1 - (c - threshold).abs() / ctx.width)
            to_reset = psi * (c * dy_t - threshold * dh)
            dc = fires * dy_t + to_reset + dh
            dthreshold -= (to_reset + fires * dh).sum(0)
            dp_n = (1 - g * g) * (1 - z) * dc
            dp[t, :, 2] = dp_n
            dp[t, :, 0] = dq[t, :, 0] = r * (1 - r) * q * dp_n
            dp[t, :, 1] = dq[t, :, 1] = z * (1 - z) * (h_before - g) * dc
            dq[t, :, 2] = r * dp_n
            dh = z * dc
            dy_later = dq[t].flatten(1) @ weight_hh
        y_before = torch.cat([y0[None], tape[0, :-1]])
        dp, dq = dp.view(-1, 3 * size), dq.view(-1, 3 * size)
        dx = (dp @ weight_ih).view(x.shape) if ctx.needs_input_grad[0] else None
        dbias = torch.stack([*dp.sum(0).chunk(3), dq[:, 2 * size :].sum(0)])
        return (
            dx, dy_later, dh, dp.t() @ x.flatten(0, 1), dq.t() @ y_before.flatten(0, 1),
            dbias, dthreshold, None, None, None, None, None,
        )  # fmt: skip


def integer_layer(
    x: Tensor, y0: Tensor, h0: Tensor,
    weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, threshold: Tensor, last: Tensor,
    layer: IntegerLayer, value_format: Format, height: float, width: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Events (T, N, H) and the last state h (N, H) of ``layer``, as real numbers; events after the
    last step of a sequence are 0.

    Args:
        x: (T, N, C) values, exact in ``value_format``.
        y0, h0: (N, H), the initial state.
        weight_ih, weight_hh, bias, threshold: the real values of ``layer``'s arrays, in the
            dtype of x; they receive the gradients.
        last: (N,) int64, the last step of each sequence.
        height, width: of the surrogate gradient, as in :class:`golden.EGRU`.
    """
    return _IntegerLayer.apply(
        x, y0, h0, weight_ih, weight_hh, bias, threshold, last, layer, value_format, height, width
    )
