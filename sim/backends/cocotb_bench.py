"""The bench that cocotb runs: plays packets into the Verilog and records the replies.

All it knows of the packets is that EVENT replies are not counted. Its input is in the working
folder, written by ``sim.backends.cocotb_runner``.
"""

import json
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from egru_hw.contract.protocol import PACKET, Reply


@cocotb.test()
async def play(dut):
    """Send every packet and wait for every expected reply."""
    settings = json.loads(Path("settings.json").read_text())
    packets = np.load("packets.npy").tolist()
    stall, patience = settings["stall"], settings["patience"]
    outstanding = settings["replies"]
    rng = np.random.default_rng(settings["seed"])
    code = PACKET["code"]

    dut.i__valid.value = 0
    dut.o__ready.value = 0
    dut.rst.value = 1
    Clock(dut.clk, 10, unit="ns").start()
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0

    # Signals are driven and sampled at the falling edge, when all have settled. Ready and valid
    # depend on registers only, so the transfers of the next rising edge are already known.
    received = []
    position = idle = 0
    offering = taking = False
    while outstanding and idle < patience:
        await FallingEdge(dut.clk)
        idle += 1
        if not offering:
            offering = position < len(packets) and not (stall and rng.random() < stall)
            dut.i__valid.value = int(offering)
            if offering:
                dut.i__payload.value = packets[position]
        if offering and dut.i__ready.value == 1:
            position += 1
            idle = 0
            offering = False
        if stall or not taking:
            taking = not (stall and rng.random() < stall)
            dut.o__ready.value = int(taking)
        if taking and dut.o__valid.value == 1:
            packet = int(dut.o__payload.value)
            received.append(packet)
            idle = 0
            outstanding -= packet >> code.offset != Reply.EVENT

    np.save("replies.npy", np.array(received, np.uint64))
    if outstanding:
        Path("outstanding").write_text(str(outstanding))
        raise AssertionError(f"{outstanding} of {settings['replies']} replies are missing")
