"""The device's end of the link under Verilator, byte by byte."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import PACKET
from egru_hw.gateware.verilog import convert
from egru_hw.link.link import Endpoint
from sim.backends.compiled import executable

IDENTITY = 0x89ABCDEF
BUILD = Path("build/sim")
QUIET = 1000  # cycles without a transfer, except of padding, after which the device is at rest
LIMIT = 10_000_000  # cycles; a device that takes longer does not come to rest
POWER_UP = 0  # as a number of cycles


class Bench(wiring.Component):
    """An ``Endpoint`` whose ports have names that are the same in C++."""

    def __init__(self):
        self.link = Endpoint(IDENTITY)
        super().__init__(
            {
                "rx_byte": In(8),
                "rx_valid": In(1),
                "tx_byte": Out(8),
                "tx_valid": Out(1),
                "tx_ready": In(1),
                "command": Out(PACKET.size),
                "command_valid": Out(1),
                "command_ready": In(1),
                "reply": In(PACKET.size),
                "reply_valid": In(1),
                "reply_ready": Out(1),
                "reset": Out(1),
                "damaged": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = self.link
        m.d.comb += [
            link.rx.payload.eq(self.rx_byte),
            link.rx.valid.eq(self.rx_valid),
            self.tx_byte.eq(link.tx.payload),
            self.tx_valid.eq(link.tx.valid),
            link.tx.ready.eq(self.tx_ready),
            self.command.eq(link.o.payload),
            self.command_valid.eq(link.o.valid),
            link.o.ready.eq(self.command_ready),
            link.i.payload.eq(self.reply),
            link.i.valid.eq(self.reply_valid),
            self.reply_ready.eq(link.i.ready),
            self.reset.eq(link.reset),
            self.damaged.eq(link.damaged),
        ]
        return m


class Device:
    """An ``Endpoint``, simulated by ``endpoint.cpp``.

    * ``commands``: those taken since the last greeting; ``greetings``: how many there were.
    * ``damaged``: frames so far. ``waiting``: replies that the accelerator still has to give.
    * ``replies_apart``: cycles between them at least.
    * ``accelerator_stall``, ``line_stall``: chances that it, or the line to the host, is not ready.
    """

    def __init__(self, seed: int = 1):
        program = executable(
            lambda: convert(Bench()), ("link",), BUILD, Path(__file__).with_name("endpoint.cpp"),
            {"POWER_UP": POWER_UP}, lambda phase, share: None,
        )  # fmt: skip
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([program, str(seed)], stdin=pipe, stdout=pipe)
        self._line = b""
        self._replies = np.zeros(0, np.uint64)
        self.power_up()

    def close(self) -> None:
        self._process.communicate()

    def power_up(self) -> None:
        self.accelerator_stall = self.line_stall = 0.0
        self.replies_apart = 0
        self.commands: list[int] = []
        self.greetings = self.damaged = 0
        self._simulate(POWER_UP, 0)

    def receive(self, data: Iterable[int]) -> None:
        """``data`` arrives from the host, a byte a cycle."""
        self._line += bytes(data)

    def reply(self, replies: np.ndarray) -> None:
        """The accelerator gives ``replies`` after those that still wait."""
        self._replies = np.append(self._replies, replies.astype(np.uint64))

    def run(self, cycles: int) -> bytes:
        """The bytes that the device sends in ``cycles`` cycles."""
        return self._simulate(cycles, cycles)[1]

    def settle(self) -> bytes:
        """The bytes that the device sends until it comes to rest."""
        cycles, sent = self._simulate(LIMIT, QUIET)
        assert cycles < LIMIT, "the device does not come to rest"
        return sent

    def _simulate(self, cycles: int, quiet: int) -> tuple[int, bytes]:
        stalls = [round(chance * 2**32) for chance in (self.accelerator_stall, self.line_stall)]
        sizes = [len(self._line), len(self._replies)]
        request = np.array([cycles, quiet, *stalls, self.replies_apart, *sizes], np.uint64)
        line = np.frombuffer(self._line, np.uint8).astype(np.uint64)
        self._process.stdin.write(np.concatenate([request, line, self._replies]).tobytes())
        self._process.stdin.flush()
        self._line, self._replies = b"", self._replies[:0]

        cycles, greetings, damaged, self.waiting, sent, commands = self._answer(6).tolist()
        data = bytes(self._answer(sent).astype(np.uint8))
        if greetings:
            self.commands = []
        self.commands += self._answer(commands).tolist()
        self.greetings += greetings
        self.damaged += damaged
        return cycles, data

    def _answer(self, words: int) -> np.ndarray:
        data = self._process.stdout.read(8 * words)
        assert len(data) == 8 * words, "the simulation broke off"
        return np.frombuffer(data, np.uint64)
