"""The device's end of the link in Amaranth's simulator, byte by byte."""

from collections import deque
from collections.abc import Iterable

import numpy as np
from amaranth.sim import Simulator

from egru_hw.contract.protocol import PACKET
from egru_hw.link.link import Endpoint

IDENTITY = 0x89ABCDEF
QUIET = 400  # cycles without a byte from the device that is none of its padding


class Device:
    """An ``Endpoint`` between bytes and packets; everything that happens to it is recorded.

    * ``line``: bytes that are still to arrive; ``sent``: bytes that the device has sent.
    * ``commands``: those taken since the last greeting; ``greetings``: how many there were.
    * ``replies``: those that the accelerator still has to give; a greeting discards them.
    * ``accelerator_stall``, ``line_stall``: chances that it, or the line to the host, is not ready.
    """

    def __init__(self):
        self.link = Endpoint(IDENTITY)
        self.simulator = Simulator(self.link)
        self.simulator.add_clock(1e-6)
        self.simulator.add_testbench(self._bench)
        self.power_up(np.random.default_rng())

    def power_up(self, rng: np.random.Generator) -> "Device":
        self.rng = rng
        self.line: deque[int] = deque()
        self.sent = bytearray()
        self.commands: list[int] = []
        self.replies: deque[int] = deque()
        self.greetings = self.damaged = self.cycle = self.busy_until = 0
        self.accelerator_stall = self.line_stall = 0.0
        self.simulator.advance()  # or the test bench would never have begun
        self.simulator.reset()
        return self

    def receive(self, data: Iterable[int]) -> None:
        self.line.extend(data)

    def run(self, cycles: int) -> None:
        end = self.cycle + cycles
        while self.cycle < end:
            self.simulator.advance()

    def settle(self, limit: int = 200_000) -> bytes:
        """Run until nothing happens any more; returns the bytes sent meanwhile."""
        end = self.cycle + limit
        self.busy_until = self.cycle + QUIET
        while self.cycle < self.busy_until:
            self.simulator.advance()
            assert self.cycle < end, "the device does not come to rest"
        data = bytes(self.sent)
        self.sent.clear()
        return data

    async def _bench(self, ctx):
        link = self.link
        rx, tx, o, i = link.rx, link.tx, link.o, link.i
        while True:
            arriving = self.line.popleft() if self.line else None
            ctx.set(rx.valid, arriving is not None)
            if arriving is not None:
                ctx.set(rx.payload, arriving)
            tx_ready = not self.line_stall or self.rng.random() >= self.line_stall
            o_ready = not self.accelerator_stall or self.rng.random() >= self.accelerator_stall
            ctx.set(tx.ready, tx_ready)
            ctx.set(o.ready, o_ready)
            offered = bool(self.replies)
            ctx.set(i.valid, offered)
            if offered:
                ctx.set(i.payload, PACKET.from_bits(self.replies[0]))
            sampled = await ctx.tick().sample(
                tx.valid, tx.payload, o.valid, o.payload, i.ready, link.reset, link.damaged
            )
            _, _, sends, byte, gives, command, takes, reset, damaged = sampled
            self.cycle += 1
            self.damaged += damaged
            if sends and tx_ready:
                self.sent.append(byte)
            if reset:
                self.greetings += 1
                self.commands.clear()
                self.replies.clear()
            elif gives and o_ready:
                self.commands.append(command.as_bits())
            if offered and takes and not reset:
                self.replies.popleft()
            if self.line or (sends and byte) or (gives and o_ready) or (offered and takes):
                self.busy_until = self.cycle + QUIET
