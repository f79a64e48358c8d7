"""The design as Verilog: ``make rtl`` writes every preset's to ``rtl/``."""

from amaranth.back import verilog

from egru_hw.contract.config import Config
from egru_hw.gateware.accelerator import Accelerator

TOP = "egru"
PUBLISHED = ("ulx3s-12f", "ulx3s-45f", "ulx3s-85f")


def emit(config: Config) -> str:
    """Verilog of the accelerator, its memories empty; the top module is ``egru``.

    The text depends on the design alone, not on where or when it is emitted.
    """
    return verilog.convert(Accelerator(config), name=TOP, emit_src=False, strip_internal_attrs=True)


def file_name(preset_name: str) -> str:
    """Where the Verilog of a preset lies in ``rtl/``."""
    return f"{TOP}_{preset_name.replace('-', '_')}.v"
