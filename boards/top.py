"""A board's design without clock and pins: the accelerator behind its serial line, and the LEDs."""

from enum import IntEnum

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.config import Config
from egru_hw.contract.image import Image
from egru_hw.gateware.accelerator import Accelerator
from egru_hw.gateware.streams import connect
from egru_hw.link.link import Link


class Light(IntEnum):
    """What the LEDs show."""

    CLOCK = 0
    """Blinks while the clock runs."""
    STEP = 1
    """On during a step."""
    OPEN = 2
    """On once a host has sent its greeting."""
    DAMAGED = 3
    """Flashes when a damaged frame has arrived."""


class BoardTop(wiring.Component):
    """The accelerator, the link, and the LEDs. A greeting of a host resets the accelerator.

    * ``rx``, ``tx``: the serial line.
    * ``lights``: a bit for each :class:`Light`.

    Args:
        config: sizes of the accelerator.
        image: contents of its memories at power-up.
        divisor: cycles a bit: on a line from :func:`egru_hw.link.uart.divisor_for`, in simulation
            at least 2.
    """

    def __init__(self, config: Config, image: Image | None, divisor: int):
        self.config, self.image, self.divisor = config, image, divisor
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "lights": Out(len(Light))})

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
        m.d.comb += [
            self.lights[Light.CLOCK].eq(beat[-1]),
            self.lights[Light.STEP].eq(accelerator.busy),
            self.lights[Light.OPEN].eq(link.open),
            self.lights[Light.DAMAGED].eq(flash != 0),
        ]
        return m
