"""The top level on an ECP5: a board's design with its clock and pins."""

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from boards.board import Board
from boards.ecp5.pll import PLL, dividers
from boards.top import BoardTop
from egru_hw.contract.config import Config
from egru_hw.contract.image import Image
from egru_hw.link.frames import BAUD
from egru_hw.link.uart import divisor_for


def check_clock(board: Board, mhz: float) -> None:
    """``ValueError`` if the PLL or the serial port cannot work with a clock of ``mhz``."""
    if not mhz > 0:
        raise ValueError(f"the clock must be a positive number of MHz, not {mhz!r}")
    dividers(board.clock_mhz, mhz)
    divisor_for(mhz * 1e6, BAUD)


class Top(Elaboratable):
    """``BoardTop`` between the board's serial port, clock and LEDs.

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

        m.submodules.design = design = BoardTop(
            self.config, self.image, divisor_for(self.mhz * 1e6, BAUD)
        )
        port = platform.request(board.uart, dir="-")
        m.d.comb += [design.rx.eq(pin("i", port.rx)), pin("o", port.tx).eq(design.tx)]
        for number, light in enumerate(design.lights[: board.lights]):
            m.d.comb += pin("o", platform.request("led", number, dir="-")).eq(light)
        for resource, signal in board.high:
            m.d.comb += pin("o", getattr(platform.request(resource, dir="-"), signal)).eq(1)
        return m
