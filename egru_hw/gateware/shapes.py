"""Amaranth shapes and small arithmetic of the formats in ``golden.integer.numerics``."""

from amaranth.hdl import Module, Mux, Shape, Signal, Value

from golden.integer.numerics import Format


def shape(fmt: Format) -> Shape:
    """The shape of a signal that carries raw integers of ``fmt``."""
    return Shape(fmt.width, fmt.signed)


def saturate(value: Value, limit: Format) -> Value:
    """``value`` clipped to the range of ``limit``."""
    return Mux(value > limit.max, limit.max, Mux(value < limit.min, limit.min, value))


def multiple(value: Value, factor: Value) -> Value:
    """``value * factor`` as shifted additions, which leaves the multipliers to the lanes."""
    return sum(
        (Mux(factor[bit], value << bit, 0) for bit in range(1, len(factor))),
        start=Mux(factor[0], value, 0),
    )


def register(shape, name: str | None = None) -> Signal:
    """A data register without a reset.

    Only valid bits need a reset. Resetting every register of the datapath would take more routing
    than an FPGA has.
    """
    return Signal(shape, name=name, reset_less=True, src_loc_at=1)


def delay(m: Module, value: Value, cycles: int, name: str = "delayed") -> Value:
    """``value`` as it was ``cycles`` clock cycles ago."""
    for cycle in range(cycles):
        later = Signal.like(value, name=f"{name}_{cycle + 1}", reset_less=True)
        m.d.sync += later.eq(value)
        value = later
    return value
