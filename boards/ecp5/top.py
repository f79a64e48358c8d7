"""The top level on an ECP5: the accelerator between serial port, clock and LEDs."""

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from boards.board import Board
from boards.ecp5.pll import PLL, dividers
from egru_hw.contract.config import Config
from egru_hw.contract.image import Image
from egru_hw.gateware.accelerator import Accelerator
from egru_hw.gateware.streams import connect
from egru_hw.link import framing
from egru_hw.link.uart import PacketUART, divisor_for


def check_clock(board: Board, mhz: float) -> None:
    """``ValueError`` if the PLL or the serial port cannot work with a clock of ``mhz``."""
    if not mhz > 0:
        raise ValueError(f"the clock must be a positive number of MHz, not {mhz!r}")
    dividers(board.clock_mhz, mhz)
    divisor_for(mhz * 1e6, framing.BAUD)


class Top(Elaboratable):
    """The accelerator between the board's serial port, clock and LEDs.

    LED 0 blinks while the clock runs. LED 1 is on during a step. LED 2 turns on when the host
    overruns the receiver (see :mod:`egru_hw.link.uart`), LED 3 when a damaged packet arrives; both
    stay on until power-down.

    Args:
        board: the board, which names the resources.
        config: sizes of the accelerator.
        image: contents of its memories at power-up.
        mhz: clock of the accelerator, see :func:`check_clock`.
    """

    def __init__(self, board: Board, config: Config, image: Image, mhz: float):
        self.board = board
        self.config = config
        self.image = image
        self.mhz = mhz

    def elaborate(self, platform):
        m = Module()
        board = self.board

        def pin(direction: str, port) -> Signal:
            m.submodules += (buffer := io.Buffer(direction, port))
            return buffer.i if direction == "i" else buffer.o

        # The domain `sync`, in reset until the PLL has locked. nextpnr derives its constraint
        # from the crystal's.
        settings = dividers(board.clock_mhz, self.mhz)
        m.submodules.pll = pll = PLL(board.clock_mhz, settings)
        m.d.comb += pll.input.eq(pin("i", platform.request(board.clock, dir="-")))
        m.domains.sync = ClockDomain()
        m.d.comb += ClockSignal().eq(pll.output)
        m.submodules.reset = ResetSynchronizer(~pll.locked)

        m.submodules.accelerator = accelerator = Accelerator(self.config, self.image)
        m.submodules.uart = uart = PacketUART(divisor_for(self.mhz * 1e6, framing.BAUD))
        connect(m, uart.o, accelerator.i)
        connect(m, accelerator.o, uart.i)

        port = platform.request(board.uart, dir="-")
        m.d.comb += [uart.rx.eq(pin("i", port.rx)), pin("o", port.tx).eq(uart.tx)]

        beat = Signal(26)
        m.d.sync += beat.eq(beat + 1)
        lights = (beat[-1], accelerator.busy, uart.overrun, uart.lost)
        for number, light in enumerate(lights[: board.lights]):
            m.d.comb += pin("o", platform.request("led", number, dir="-")).eq(light)
        for resource, signal in board.high:
            m.d.comb += pin("o", getattr(platform.request(resource, dir="-"), signal)).eq(1)
        return m
