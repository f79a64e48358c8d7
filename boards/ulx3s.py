"""ULX3S with an LFE5U-12F, 25F, 45F or 85F, connected to the host by its USB serial port."""

from amaranth_boards import ulx3s

from boards.board import Board, Variant

BOARD = Board(
    name="ulx3s",
    variants={
        "12F": Variant(ulx3s.ULX3S_12F_Platform, "ulx3s-12f"),
        "25F": Variant(ulx3s.ULX3S_25F_Platform, "ulx3s-25f"),
        "45F": Variant(ulx3s.ULX3S_45F_Platform, "ulx3s-45f"),
        "85F": Variant(ulx3s.ULX3S_85F_Platform, "ulx3s-85f"),
    },
    clock="clk25",
    clock_mhz=25,
    frequency=80,
    # A low level would let the ESP32 on the board boot and reload the FPGA.
    high=(("esp32", "gpio0"),),
)
