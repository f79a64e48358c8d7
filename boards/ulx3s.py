"""ULX3S, with LFE5U-12F, 25F, 45F or 85F; the host is behind its USB serial port.

LEDs: 0 blinks while the clock runs; 1 is on during a step; 2 says that the host sent more than
fits (see ``egru_hw.link.uart``), and 3 that a damaged packet came in, both until power-down.
"""

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from amaranth_boards import ulx3s

from boards.pll import PLL, dividers
from egru_hw.contract.config import Config
from egru_hw.contract.image import Image
from egru_hw.gateware.accelerator import Accelerator
from egru_hw.gateware.streams import connect
from egru_hw.link import framing
from egru_hw.link.uart import PacketUART, divisor_for

CRYSTAL_MHZ = 25
PLATFORMS = {
    "12F": ulx3s.ULX3S_12F_Platform,
    "25F": ulx3s.ULX3S_25F_Platform,
    "45F": ulx3s.ULX3S_45F_Platform,
    "85F": ulx3s.ULX3S_85F_Platform,
}


def check_clock(mhz: float) -> None:
    """``ValueError`` if the PLL or the serial port cannot do with a clock of ``mhz``."""
    dividers(CRYSTAL_MHZ, mhz)
    divisor_for(mhz * 1e6, framing.BAUD)


class Top(Elaboratable):
    """The accelerator between the board's serial port, clock and LEDs.

    Args:
        config: sizes of the accelerator.
        image: the model in its memories at power-up.
        mhz: its clock, see :func:`check_clock`.
    """

    def __init__(self, config: Config, image: Image, mhz: float):
        self.config = config
        self.image = image
        self.mhz = mhz

    def elaborate(self, platform):
        m = Module()

        def pin(direction: str, port) -> Signal:
            m.submodules += (buffer := io.Buffer(direction, port))
            return buffer.i if direction == "i" else buffer.o

        # The domain `sync`, in reset until the PLL has locked. nextpnr derives its constraint
        # from the crystal's.
        m.submodules.pll = pll = PLL(CRYSTAL_MHZ, dividers(CRYSTAL_MHZ, self.mhz))
        m.d.comb += pll.input.eq(pin("i", platform.request("clk25", dir="-")))
        m.domains.sync = ClockDomain()
        m.d.comb += ClockSignal().eq(pll.output)
        m.submodules.reset = ResetSynchronizer(~pll.locked)

        m.submodules.accelerator = accelerator = Accelerator(self.config, self.image)
        m.submodules.uart = uart = PacketUART(divisor_for(self.mhz * 1e6, framing.BAUD))
        connect(m, uart.o, accelerator.i)
        connect(m, accelerator.o, uart.i)

        port = platform.request("uart", dir="-")
        m.d.comb += [uart.rx.eq(pin("i", port.rx)), pin("o", port.tx).eq(uart.tx)]

        beat = Signal(26)
        m.d.sync += beat.eq(beat + 1)
        for number, light in enumerate((beat[-1], accelerator.busy, uart.overrun, uart.lost)):
            m.d.comb += pin("o", platform.request("led", number, dir="-")).eq(light)

        # Low, this pin would let the ESP32 on the board take over and reload the FPGA.
        m.d.comb += pin("o", platform.request("esp32", dir="-").gpio0).eq(1)
        return m
