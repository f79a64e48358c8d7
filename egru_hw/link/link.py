"""The link: commands and replies over a serial line, none lost. See docs/link.md."""

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import PACKET
from egru_hw.gateware.streams import connect
from egru_hw.link.receiver import Receiver
from egru_hw.link.transmitter import Transmitter
from egru_hw.link.uart import UARTReceiver, UARTTransmitter

SHARED = ("open", "nonce", "expected", "consumed", "ack", "acked", "resend", "status", "gap")
"""Signals from the receiver to the transmitter."""


class Link(wiring.Component):
    """The device's end of the line.

    * ``rx``, ``tx``: the line. ``o``: commands. ``i``: replies.
    * ``reset``: resets the accelerator; a host has sent its greeting.
    * ``open``: there has been a host since power-up. ``damaged``: a frame was damaged.

    Args:
        divisor: cycles a bit, from :func:`egru_hw.link.uart.divisor_for`.
        identity: 32 bits that tell a host what the accelerator is.
    """

    def __init__(self, divisor: int, identity: int):
        self.divisor, self.identity = divisor, identity
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "o": Out(stream.Signature(PACKET)),
                "i": In(stream.Signature(PACKET)),
                "reset": Out(1),
                "open": Out(1),
                "damaged": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.line_in = line_in = UARTReceiver(self.divisor)
        m.submodules.line_out = line_out = UARTTransmitter(self.divisor)
        m.submodules.receiver = receiver = Receiver()
        m.submodules.transmitter = transmitter = ResetInserter(receiver.hello)(
            Transmitter(self.identity)
        )
        m.d.comb += [line_in.rx.eq(self.rx), self.tx.eq(line_out.tx)]
        connect(m, line_in.o, receiver.i)
        connect(m, receiver.o, wiring.flipped(self.o))
        connect(m, wiring.flipped(self.i), transmitter.i)
        connect(m, transmitter.o, line_out.i)
        for name in SHARED:
            m.d.comb += getattr(transmitter, name).eq(getattr(receiver, name))
        m.d.comb += [
            self.reset.eq(receiver.hello),
            self.open.eq(receiver.open),
            self.damaged.eq(receiver.damaged),
        ]
        return m
