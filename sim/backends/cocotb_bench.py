"""The bench that cocotb runs: plays packets into the Verilog and returns the replies.

All it knows of the packets is that EVENT replies are not counted. Its standard input is a socket,
on which ``sim.backends.cocotb_runner`` sends the name and the argument of a request: "reset",
"send" with packets, or "receive" with the number of replies, which is answered.
"""

import json
from collections import deque
from multiprocessing.connection import Connection
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from egru_hw.contract.protocol import PACKET, Reply

POLL_INTERVAL = 1 << 10  # cycles


@cocotb.test()
async def serve(dut):
    """Do as the host requests, until it closes the connection."""
    bench = Bench(dut, **json.loads(Path("settings.json").read_text()))
    host = Connection(0)
    dut.i__valid.value = 0
    dut.o__ready.value = 0
    Clock(dut.clk, 10, unit="ns").start()
    await bench.reset()
    try:
        while True:
            request, argument = host.recv()
            if request == "reset":
                await bench.reset()
            elif request == "send":
                bench.packets.extend(argument.tolist())
            else:
                host.send(await bench.receive(argument, host))
    except EOFError:
        pass


class Bench:
    """The accelerator's two streams. Time passes only in :meth:`reset` and :meth:`receive`."""

    def __init__(self, dut, stall: float, seed: int, patience: int):
        self.dut = dut
        self.stall, self.rng = stall, np.random.default_rng(seed)
        self.patience = patience
        self.packets: deque[int] = deque()
        self.offering = self.taking = False

    async def reset(self) -> None:
        self.packets.clear()
        self.offering = self.taking = False
        self.dut.i__valid.value = 0
        self.dut.o__ready.value = 0
        self.dut.rst.value = 1
        for _ in range(2):
            await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0

    async def receive(self, outstanding: int, host: Connection) -> tuple[int, np.ndarray]:
        """The number of missing replies, and the replies.

        Signals are driven and sampled at the falling edge, when all have settled. Ready and valid
        depend on registers only, so the transfers of the next rising edge are already known.
        """
        dut, replies, code = self.dut, [], PACKET["code"]
        idle = cycle = 0
        while outstanding and idle < self.patience:
            await FallingEdge(dut.clk)
            idle += 1
            cycle += 1
            if not self.offering:
                self.offering = bool(self.packets) and not self._stalls()
                dut.i__valid.value = int(self.offering)
                if self.offering:
                    dut.i__payload.value = self.packets[0]
            if self.offering and dut.i__ready.value == 1:
                self.packets.popleft()
                idle = 0
                self.offering = False
            if self.stall or not self.taking:
                self.taking = not self._stalls()
                dut.o__ready.value = int(self.taking)
            if self.taking and dut.o__valid.value == 1:
                packet = int(dut.o__payload.value)
                replies.append(packet)
                idle = 0
                outstanding -= packet >> code.offset != Reply.EVENT
            # The host sends nothing while it waits: what there is to read can only be the end.
            if cycle % POLL_INTERVAL == 0 and host.poll():
                raise EOFError
        return outstanding, np.array(replies, np.uint64)

    def _stalls(self) -> bool:
        return bool(self.stall) and self.rng.random() < self.stall
