"""The forward pass of a layer, in chunks of steps: W x of a chunk, then its steps."""

from math import isfinite

import torch
from torch import Tensor

from golden.core import memory, policy
from golden.core._core import forward_scratch, packed_size, padded
from golden.core.counting import count as count_macs_of
from golden.core.kernels import address, kernels_for


def _shapes(
    like: Tensor, chunk: int, count: int, inputs: int, size: int, threads: int, pack_units: bool
) -> memory.Shapes:
    """W x of a chunk, R y of a step, both matrices packed, and the events of two steps."""
    pitch = padded(size)
    return (
        (chunk * count, 3, pitch),
        (count, 3, pitch),
        (packed_size(inputs, size, 3),),
        (packed_size(size, size, 3) if pack_units else 0,),
        (forward_scratch(count, size, threads, like.itemsize) // like.itemsize + 1,),
    )


def _with_non_finite(bias: Tensor, weight: Tensor, rows: int) -> Tensor:
    """``bias`` of a product of ``rows`` rows with ``weight`` (K, 3H), but NaN in every column with
    a weight that is not finite: its products with zeros, which are skipped, would be NaN."""
    if policy.worth_checking(rows, len(weight)) and not isfinite(
        kernels_for(weight).read(address(weight), weight.numel(), 1)
    ):
        return bias + (0 * weight).sum(0)
    return bias


def forward(
    x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor,
    theta: Tensor, y0: Tensor, h0: Tensor, kept: Tensor | None, wanted: Tensor | None,
    zoneout: float, height: float, width: float, record: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """As the operator of operators.py, with None for what is not recorded."""
    steps, count, inputs = x.shape
    size = weight_hh.shape[1]
    by_input, by_unit = weight_ih.t().contiguous(), weight_hh.t().contiguous()
    x, bias_ih, bias_hh, theta, y0 = (v.contiguous() for v in (x, bias_ih, bias_hh, theta, y0))
    bias_ih = _with_non_finite(bias_ih, by_input, steps * count)
    bias_hh = _with_non_finite(bias_hh, by_unit, steps * count)
    h = h0.clone(memory_format=torch.contiguous_format)
    kept = None if kept is None else kept.contiguous()
    y = memory.empty(x, steps, count, size)
    tape = near = nearby = None
    if record:
        tape = memory.empty(x, steps, count, 5, size)
        near = x.new_empty((steps, count, size), dtype=torch.uint8)
        nearby = x.new_zeros(steps, dtype=torch.int64)

    chunk = policy.chunk(steps, count, backward=record)
    threads = policy.threads(count * weight_hh.numel())
    # Assuming half of the inputs are events: with fewer, extra threads cost little.
    input_threads = policy.threads(chunk * count * weight_ih.numel() / 2)
    worth_packing = count >= 4 and steps >= 4
    p, q, packed_inputs, packed_units, scratch = memory.buffers(
        x, _shapes, chunk, count, inputs, size, threads, worth_packing
    )
    kernels = kernels_for(x)
    product = kernels.Product(
        inputs=inputs, units=size, x=address(x), w=address(by_input), out=p.address,
        packed=packed_inputs.address,
    )  # fmt: skip
    layer = kernels.Forward(
        count=count, units=size, weight=address(by_unit), theta=address(theta),
        kept=address(kept), zoneout=zoneout, width=width, bias_ih=address(bias_ih),
        bias_hh=address(bias_hh), y0=address(y0), y=address(y), h=address(h), tape=address(tape),
        near=address(near), nearby=address(nearby), q=q.address,
        packed=packed_units.address if worth_packing else 0, scratch=scratch.address, p=p.address,
    )  # fmt: skip
    input_share = policy.most_events(chunk * count, by_input.nbytes)
    limit = int(policy.most_events(count, by_unit.nbytes) * count * size)
    for first in range(0, steps, chunk):
        end = min(first + chunk, steps)
        rows = (end - first) * count
        # With panels, the recurrence reads contiguous memory. A chunk of a single step has none, as
        # it may use fewer threads.
        in_panels = worth_packing and end - first > 1 and threads == input_threads
        done = kernels.product(
            product, first=first * count, rows=rows, in_panels=in_panels,
            limit=int(input_share * rows * inputs), threads=input_threads,
        )  # fmt: skip
        layer.first, layer.end, layer.p_gate = first, end, padded(size)
        if done < 0:
            torch.mm(x[first:end].view(rows, inputs), by_input, out=p.tensor(rows, 3 * size))
            done, layer.p_gate = rows * by_input.numel(), size
        elif in_panels and product.is_packed:
            layer.p_gate = 0
        count_macs_of("W x", done)
        step, given = first, False
        while True:
            # After the dense product of a single step, only its cell is left to compute.
            only_cell = given and end - first == 1
            team = policy.threads(policy.CELL * count * size) if only_cell else threads
            step, done = kernels.forward(layer, step, given, limit, team)
            count_macs_of("R y", done)
            if step == end:
                break
            before = y[step - 1] if step else y0
            torch.addmm(bias_hh, before, by_unit, out=q.tensor(count, 3 * size))
            count_macs_of("R y", count * weight_hh.numel())
            given = True
    return y, h, tape, near, nearby
