"""The compiled module (csrc/bind.cpp). Arrays are addresses, 0 for none; csrc/layer.hpp has their
shapes. Kernels release the GIL."""

from dataclasses import dataclass, field

@dataclass(kw_only=True)
class _Layer:
    count: int
    units: int
    weight: int
    theta: int
    kept: int
    zoneout: float
    width: float

class Kernels:
    """The kernels of one vector extension for one type."""

    @dataclass(kw_only=True)
    class Forward(_Layer):
        bias_ih: int
        bias_hh: int
        y0: int
        y: int
        h: int
        tape: int
        near: int
        nearby: int
        q: int
        packed: int
        scratch: int
        p: int
        first: int = field(init=False)
        end: int = field(init=False)
        p_gate: int = field(init=False)

    @dataclass(kw_only=True)
    class Backward(_Layer):
        height: float
        h0: int
        tape: int
        near: int
        nearby: int
        dy: int
        dh: int
        ybar: int
        dp: int
        dq_n: int
        dtheta: int
        dbias_ih: int
        dbias_hh: int
        first: int = field(init=False)

    @dataclass(kw_only=True)
    class Product:
        inputs: int
        units: int
        x: int
        w: int
        out: int
        packed: int
        is_packed: bool = field(init=False)

    @dataclass(kw_only=True)
    class Outer:
        rows: int
        units: int
        dp: int
        dq_n: int
        packed: int

    def forward(
        self, layer: Forward, step: int, given: bool, limit: int, threads: int
    ) -> tuple[int, int]: ...
    def backward(
        self, layer: Backward, step: int, given: bool, limit: int, threads: int
    ) -> tuple[int, int]: ...
    def product(
        self, product: Product, first: int, rows: int, in_panels: bool, limit: int, threads: int
    ) -> int: ...
    def outer(
        self, outer: Outer, out: int, x: int, inputs: int, recurrent: bool, limit: int, threads: int
    ) -> int: ...
    def dots(
        self, out: int, wanted: int, d: int, w: int, rows: int, inputs: int, columns: int,
        threads: int,
    ) -> int: ...  # fmt: skip
    def read(self, start: int, size: int, times: int) -> float: ...

class VectorExtension:
    name: str
    float32: Kernels
    float64: Kernels

def vector_extensions() -> list[VectorExtension]: ...
def forward_scratch(count: int, units: int, threads: int, item: int) -> int: ...
def packed_size(rows: int, units: int, sections: int) -> int: ...
def padded(units: int) -> int: ...
def large_pages(start: int, size: int) -> None: ...
