"""A board's design without clock and pins: the accelerator behind its serial line, and the LEDs."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config
from egru_hw.contract.image import Image
from egru_hw.gateware.accelerator import Accelerator
from egru_hw.gateware.streams import connect
from egru_hw.link.link import Link

LIGHTS = 4


class BoardTop(wiring.Component):
    """The accelerator, the link, and the LEDs. A greeting of a host resets the accelerator.

    * ``rx``, ``tx``: the serial line.
    * ``lights``: 0 blinks while the clock runs. 1 is on during a step. 2 is on once a host has
      sent its greeting. 3 flashes when a damaged frame has arrived.

    Args:
        config: sizes of the accelerator.
        image: contents of its memories at power-up.
        divisor: cycles a bit: on a line from :func:`egru_hw.link.uart.divisor_for`, in simulation
            at least 2.
    """

    def __init__(self, config: Config, image: Image | None, divisor: int):
        self.config, self.image, self.divisor = config, image, divisor
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "lights": Out(LIGHTS)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = Link(self.divisor, self.config.fingerprint)
        accelerator = Accelerator(self.config, self.image)
        m.submodules.accelerator = ResetInserter(link.reset)(accelerator)
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        connect(m, link.o, accelerator.i)
        connect(m, accelerator.o, link.i)

        beat = Signal(26)
        flash = Signal(23)  # about a tenth of a second at 80 MHz
        m.d.sync += beat.eq(beat + 1)
        with m.If(link.damaged):
            m.d.sync += flash.eq(-1)
        with m.Elif(flash != 0):
            m.d.sync += flash.eq(flash - 1)
        for light, on in zip(
            self.lights, (beat[-1], accelerator.busy, link.open, flash != 0), strict=True
        ):
            m.d.comb += light.eq(on)
        return m
