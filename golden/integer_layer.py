"""A layer of the integer model as a differentiable function: what is trained is what runs.

Forward is :func:`golden.integer.layer_steps`, the specification itself. Its numbers are handed on
as real ones; all formats are narrow enough for float32 to hold them exactly. Backward is that
of :mod:`golden.egru`, at the integer model's own gates, states and events: roundings and
saturations pass gradients straight through, tables have the derivatives of the functions in them,
and the threshold has its surrogate.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from golden.integer import IntegerLayer, layer_steps
from golden.numerics import EVENT, GATE, RECURRENT_GATE_INPUT, STATE, Format
from golden.scales import to_numpy

FORMATS = (EVENT, STATE, STATE, GATE, GATE, RECURRENT_GATE_INPUT, STATE)  # of Units


class _IntegerLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x, y0, h0, weight_ih, weight_hh, bias, threshold, layer, value_format, height, width
    ):
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
        ctx.save_for_backward(x, y0, h0, weight_ih, weight_hh, threshold, tape)
        ctx.height, ctx.width = height, width
        return y.clone(), h[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, dh):
        x, y0, h0, weight_ih, weight_hh, threshold, tape = ctx.saved_tensors
        y, h, c, r, z, q, g = tape
        steps, _, size = y.shape
        y_before, h_before = torch.cat([y0[None], y[:-1]]), torch.cat([h0[None], h[:-1]])
        fires = (y != 0).to(y.dtype)
        psi = ctx.height * torch.relu(1 - (c - threshold).abs() / ctx.width)
        # Everything that does not depend on the gradients, for all steps at once: dc is
        # from_y * dy + from_h * dh, and dp, dq are these multiples of dc.
        from_y, from_h = fires + psi * c, 1 - psi * threshold
        p_n = (1 - g * g) * (1 - z)
        p_r, p_z, q_n = r * (1 - r) * q * p_n, z * (1 - z) * (h_before - g), r * p_n
        multiples = torch.stack([p_r, p_z, q_n], 2)

        dy, dhs = dy.clone(), torch.empty_like(y)  # whole gradients: later steps add theirs
        dc, dq = torch.empty_like(y), torch.empty_like(multiples)
        for t in reversed(range(steps)):
            dhs[t] = dh
            torch.addcmul(from_y[t] * dy[t], from_h[t], dh, out=dc[t])
            torch.mul(multiples[t], dc[t, :, None], out=dq[t])
            dh = z[t] * dc[t]
            if t:
                dy[t - 1].addmm_(dq[t].flatten(1), weight_hh)
        dy0 = dq[0].flatten(1) @ weight_hh
        dp = torch.cat([dq[:, :, :2], (p_n * dc)[:, :, None]], 2).view(-1, 3 * size)
        dq = dq.view(-1, 3 * size)
        dx = (dp @ weight_ih).view(x.shape) if ctx.needs_input_grad[0] else None
        dbias = torch.stack([*dp.sum(0).chunk(3), dq[:, 2 * size :].sum(0)])
        dthreshold = (fires * (dy - dhs) + dhs - dc).sum((0, 1))
        return (
            dx, dy0, dh, dp.t() @ x.flatten(0, 1), dq.t() @ y_before.flatten(0, 1),
            dbias, dthreshold, None, None, None, None,
        )  # fmt: skip


def integer_layer(
    x: Tensor, y0: Tensor, h0: Tensor,
    weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, threshold: Tensor,
    layer: IntegerLayer, value_format: Format, height: float, width: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Events (T, N, H) and the last state h (N, H) of ``layer``, as real numbers.

    Args:
        x: (T, N, C) values, which ``value_format`` holds.
        y0, h0: (N, H), the state before.
        weight_ih, weight_hh, bias, threshold: the real values of ``layer``'s arrays, in the
            dtype of x, for gradients to go to.
        height, width: of the threshold's surrogate, as :class:`golden.egru.EGRU` has them.
    """
    return _IntegerLayer.apply(
        x, y0, h0, weight_ih, weight_hh, bias, threshold, layer, value_format, height, width
    )
