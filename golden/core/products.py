"""The products of the backward pass over a chunk of steps: gradients of inputs and of weights."""

import torch
from torch import Tensor

from golden.core import memory, policy
from golden.core.counting import count
from golden.core.kernels import address, kernels_for


def input_gradient(dx: Tensor, grad: Tensor, by_input: Tensor, wanted: Tensor | None) -> None:
    """dx [M, C], zeros at first, = grad [M, 3H] · by_input [C, 3H] transposed, where ``wanted``
    (uint8, as dx)."""
    rows, (inputs, columns) = len(grad), by_input.shape
    if wanted is None or (
        torch.count_nonzero(wanted).item() > policy.most_wanted(rows) * wanted.numel()
    ):
        count("dx", rows * by_input.numel())
        torch.mm(grad, by_input.t(), out=dx)
        return
    done = kernels_for(dx).dots(
        out=address(dx), wanted=address(wanted), d=address(grad), w=address(by_input),
        rows=rows, inputs=inputs, columns=columns, threads=policy.threads(rows * by_input.numel()),
    )  # fmt: skip
    count("dx", done)


class WeightGradients:
    """x [M, K] transposed · d [M, 3H], for both weight matrices.

    d is (dp_r, dp_z, dp_n) for W and (dp_r, dp_z, dq_n) for R, from the same steps.
    """

    def __init__(self, dp: Tensor, dq_n: Tensor, packed: memory.Buffer):
        self.dp, self.dq_n, self.kernels = dp, dq_n, kernels_for(dp)
        self.outer = self.kernels.Outer(
            rows=len(dp), units=dq_n.shape[1], dp=address(dp), dq_n=address(dq_n),
            packed=packed.address,
        )  # fmt: skip
        # Assuming a tenth are events.
        self.threads = policy.threads(dp.numel() * dq_n.shape[1] / 10)

    def add(self, out: Tensor | None, x: Tensor, recurrent: bool) -> Tensor:
        """``out`` [K, 3H], or zeros if None, plus the product, in place."""
        (rows, inputs), columns = x.shape, self.dp.shape[1]
        name = "dR" if recurrent else "dW"
        if out is None and rows <= policy.FEW_ROWS:
            with_events = x.any(0).count_nonzero().item()
            if with_events > policy.most_inputs_with_events() * inputs:
                count(name, rows * inputs * columns)
                out = memory.empty(x, inputs, columns)
                return torch.mm(x.t(), self._right(recurrent), out=out)
            out = memory.sparse_zeros(x, inputs, columns)
        elif out is None:
            out = memory.zeros(x, inputs, columns)
        limit = int(policy.most_events(rows, out.nbytes) * x.numel())
        done = self.kernels.outer(
            self.outer, out=address(out), x=address(x), inputs=inputs, recurrent=recurrent,
            limit=limit, threads=self.threads,
        )  # fmt: skip
        if done < 0:
            count(name, rows * out.numel())
            return out.addmm_(x.t(), self._right(recurrent))
        count(name, done)
        return out

    def _right(self, recurrent: bool) -> Tensor:
        if not recurrent:
            return self.dp
        return torch.cat([self.dp[:, : 2 * self.dq_n.shape[1]], self.dq_n], 1)
