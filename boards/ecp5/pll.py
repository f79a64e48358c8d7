"""The PLL of Lattice ECP5, EHXPLLL, with one output."""

from dataclasses import dataclass

from amaranth.hdl import Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

# In MHz, from the family's data sheet, FPGA-DS-02012, "sysCLOCK PLL Timing".
PHASE_DETECTOR_MIN = 3.125
OSCILLATOR_MIN, OSCILLATOR_MAX = 400, 800
MAX_DIVIDER = 128
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Dividers:
    """``output = input * feedback / reference``; the oscillator runs ``post`` times faster."""

    reference: int
    feedback: int
    post: int

    def output(self, input_mhz: float) -> float:
        """The clock that comes out of the PLL, in MHz."""
        return input_mhz * self.feedback / self.reference


def dividers(input_mhz: float, output_mhz: float) -> Dividers:
    """The settings whose output is nearest to ``output_mhz``.

    Among equally near settings, the one with the fastest phase detector has the least jitter.
    ``ValueError`` names the nearest clock if it is off by more than 0.1 %.
    """
    choices = []
    for reference in range(1, int(input_mhz / PHASE_DETECTOR_MIN) + 1):
        for feedback in range(1, MAX_DIVIDER + 1):
            output = input_mhz * feedback / reference
            post = round((OSCILLATOR_MIN + OSCILLATOR_MAX) / 2 / output)
            if 1 <= post <= MAX_DIVIDER and OSCILLATOR_MIN <= output * post <= OSCILLATOR_MAX:
                choices.append(Dividers(reference, feedback, post))
    nearest = min(choices, key=lambda choice: abs(choice.output(input_mhz) - output_mhz))
    if abs(nearest.output(input_mhz) / output_mhz - 1) > TOLERANCE:
        raise ValueError(
            f"the PLL cannot make {output_mhz:g} MHz from {input_mhz:g} MHz; "
            f"the nearest clock is {nearest.output(input_mhz):.4g} MHz"
        )
    return nearest


class PLL(wiring.Component):
    """Multiplies a clock. ``locked`` is high while ``output`` is stable.

    Args:
        input_mhz: frequency of ``input``.
        dividers: see :func:`dividers`.
    """

    input: In(1)
    output: Out(1)
    locked: Out(1)

    def __init__(self, input_mhz: float, dividers: Dividers):
        self.input_mhz = input_mhz
        self.dividers = dividers
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.ehxplll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=str(self.input_mhz),
            a_FREQUENCY_PIN_CLKOP=str(self.dividers.output(self.input_mhz)),
            # The loop filter that Lattice's own generator writes for every clock.
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=self.dividers.reference,
            p_CLKFB_DIV=self.dividers.feedback,
            p_CLKOP_DIV=self.dividers.post,
            p_CLKOP_CPHASE=self.dividers.post - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOP_ENABLE="ENABLED",
            i_CLKI=self.input,
            i_CLKFB=self.output,
            i_RST=0,
            i_STDBY=0,
            i_PHASESEL0=0,
            i_PHASESEL1=0,
            i_PHASEDIR=0,
            i_PHASESTEP=0,
            i_PHASELOADREG=0,
            i_PLLWAKESYNC=0,
            i_ENCLKOP=0,
            o_CLKOP=self.output,
            o_LOCK=self.locked,
        )
        return m
