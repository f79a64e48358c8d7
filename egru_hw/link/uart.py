"""A serial line: 8 data bits, no parity, one stop bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import cdc, stream, wiring
from amaranth.lib.wiring import In, Out

DATA_BITS = 8
MIN_DIVISOR = 8
MAX_DEVIATION = 0.01  # of the line's rate, from rounding; a UART tolerates 4 % in total


def divisor_for(frequency: float, baud: float) -> int:
    """Cycles per bit at ``frequency`` Hz.

    ``ValueError`` if they are fewer than 8, where a sample may lie too far from the middle of
    its bit, or if the rate would be off by more than 1 %.
    """
    divisor = round(frequency / baud)
    if divisor < MIN_DIVISOR or abs(frequency / divisor / baud - 1) > MAX_DEVIATION:
        raise ValueError(f"no {baud:g} baud from a clock of {frequency / 1e6:g} MHz")
    return divisor


class UARTReceiver(wiring.Component):
    """Bytes from a line.

    Each bit is sampled once, in its middle, so that a byte survives a sender whose rate is off
    by 4 %. ``o`` cannot be stalled. A byte without a stop bit is dropped, as is a start bit
    that ends before its middle.

    Args:
        divisor: cycles a bit: on a line from :func:`divisor_for`, in simulation at least 2.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__(
            {
                "rx": In(1, init=1),
                "o": Out(stream.Signature(DATA_BITS, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rx = Signal(init=1)
        m.submodules += cdc.FFSynchronizer(self.rx, rx, init=1)

        timer = Signal(range(self.divisor))
        bits_left = Signal(range(DATA_BITS + 2))
        m.d.sync += [self.o.valid.eq(0), timer.eq(timer - 1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [timer.eq(self.divisor // 2 - 1), bits_left.eq(DATA_BITS)]
                with m.If(~rx):
                    m.next = "START"
            with m.State("START"):
                with m.If(timer == 0):
                    m.d.sync += timer.eq(self.divisor - 1)
                    m.next = "DATA"
                    with m.If(rx):
                        m.next = "IDLE"
            with m.State("DATA"):
                with m.If(timer == 0):
                    m.d.sync += [timer.eq(self.divisor - 1), bits_left.eq(bits_left - 1)]
                    m.d.sync += self.o.payload.eq(Cat(self.o.payload[1:], rx))
                    with m.If(bits_left == 1):
                        m.next = "STOP"
            with m.State("STOP"):
                with m.If(timer == 0):
                    m.d.sync += self.o.valid.eq(rx)
                    m.next = "RELEASE"
                    with m.If(rx):
                        m.next = "IDLE"
            with m.State("RELEASE"):  # of a line that was low instead of a stop bit
                with m.If(rx):
                    m.next = "IDLE"
        return m


class UARTTransmitter(wiring.Component):
    """Bytes to a line. A byte takes ``10 * divisor + 1`` cycles.

    Args:
        divisor: cycles a bit, from :func:`divisor_for`.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(DATA_BITS)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        frame = Signal(DATA_BITS + 2, init=-1)  # idle: ones
        bits_left = Signal(range(len(frame) + 1))
        timer = Signal(range(self.divisor))
        m.d.comb += [self.tx.eq(frame[0]), self.i.ready.eq(bits_left == 0)]
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                frame.eq(Cat(0, self.i.payload, 1)),
                bits_left.eq(len(frame)),
                timer.eq(self.divisor - 1),
            ]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(bits_left != 0):
            m.d.sync += [
                frame.eq(Cat(frame[1:], 1)),
                bits_left.eq(bits_left - 1),
                timer.eq(self.divisor - 1),
            ]
        return m
