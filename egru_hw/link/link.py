"""The device's end of the link, see docs/link.md."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import PACKET
from egru_hw.gateware.streams import connect
from egru_hw.link.cobs import BYTE, ReverseEncoder
from egru_hw.link.frames import ToDevice
from egru_hw.link.inbox import Inbox
from egru_hw.link.outbox import Outbox
from egru_hw.link.receiver import FrameReceiver
from egru_hw.link.transmitter import FrameTransmitter
from egru_hw.link.uart import UARTReceiver, UARTTransmitter

ACCELERATOR = {
    "o": Out(stream.Signature(PACKET)),
    "i": In(stream.Signature(PACKET)),
    "reset": Out(1),
    "open": Out(1),
    "damaged": Out(1),
}
"""What connects an accelerator: commands, replies, its reset, and the state of the line."""


class Endpoint(wiring.Component):
    """Bytes from a line to commands, and replies to bytes for the line.

    * ``rx``, ``tx``: bytes. ``rx`` cannot be stalled; a byte may arrive in every cycle.
    * ``o``: commands; ``i``: replies.
    * ``reset``: high for a cycle when a session begins. The accelerator must be reset by it.
    * ``open``: a session has begun; ``damaged``: a damaged frame has ended.

    Args:
        identity: of the device, 32 bits.
    """

    def __init__(self, identity: int):
        self.identity = identity
        super().__init__(
            {
                "rx": In(stream.Signature(BYTE, always_ready=True)),
                "tx": Out(stream.Signature(BYTE)),
            }
            | ACCELERATOR
        )

    def elaborate(self, platform):
        m = Module()
        in_session = ResetInserter(self.reset)
        m.submodules.receiver = receiver = FrameReceiver()
        m.submodules.inbox = inbox = in_session(Inbox())
        m.submodules.outbox = outbox = in_session(Outbox())
        m.submodules.transmitter = transmitter = in_session(FrameTransmitter(self.identity))
        m.submodules.encoder = encoder = ReverseEncoder()

        connect(m, wiring.flipped(self.rx), receiver.i)
        connect(m, receiver.o, inbox.i)
        connect(m, inbox.o, wiring.flipped(self.o))
        connect(m, wiring.flipped(self.i), outbox.i)
        connect(m, transmitter.o, encoder.i)
        connect(m, encoder.o, wiring.flipped(self.tx))

        tell = Signal()  # that the host may lack the latest `ack` and `consumed`
        gap = Signal()  # a GAP is to be sent,
        missed = Signal()  # and no frame that follows the last one in order has come since
        m.d.comb += [
            inbox.position.eq(receiver.position),
            inbox.end.eq(receiver.end),
            outbox.ack.eq(receiver.ack),
            outbox.position.eq(transmitter.position),
            outbox.idle.eq(transmitter.idle),
            outbox.sent.eq(transmitter.sent),
            transmitter.open.eq(self.open),
            transmitter.nonce.eq(receiver.nonce),
            transmitter.gap.eq(gap),
            transmitter.tell.eq(tell),
            transmitter.waiting.eq(outbox.waiting),
            transmitter.begun.eq(outbox.begun),
            transmitter.number.eq(outbox.number),
            transmitter.length.eq(outbox.length),
            transmitter.byte.eq(outbox.byte),
            transmitter.ack.eq(inbox.received),
            transmitter.consumed.eq(inbox.consumed),
            self.damaged.eq(receiver.damaged),
        ]

        kind = receiver.kind
        ahead = Signal(BYTE)  # of the next frame in order
        valid = Signal()
        in_order = Signal()
        skips = Signal()
        repeats = Signal()
        lost = Signal()
        m.d.comb += [
            ahead.eq(receiver.number - inbox.received),
            valid.eq(receiver.good & self.open),
            in_order.eq(valid & (ahead == 0)),
            repeats.eq(valid & ahead[-1]),
            skips.eq(valid & ~in_order & ~repeats),
            lost.eq(skips | (receiver.damaged & self.open)),
            inbox.commit.eq(in_order & (kind == ToDevice.DATA)),
            outbox.acknowledge.eq(valid),
            outbox.repeat.eq(valid & (kind == ToDevice.RESEND)),
        ]

        with m.If(transmitter.told):
            m.d.sync += tell.eq(0)
        with m.If(inbox.stored | inbox.freed | outbox.repeat | (repeats & (kind == ToDevice.DATA))):
            m.d.sync += tell.eq(1)

        with m.If(transmitter.gapped):
            m.d.sync += gap.eq(0)
        with m.If(in_order):
            m.d.sync += [gap.eq(0), missed.eq(0)]
        with m.Elif(lost & (~missed | outbox.repeat)):
            m.d.sync += [gap.eq(1), missed.eq(1)]

        m.d.sync += self.reset.eq(0)
        with m.If(receiver.good & (kind == ToDevice.HELLO)):
            m.d.sync += [self.open.eq(1), self.reset.eq(1)]
        with m.If(self.reset):
            m.d.sync += [tell.eq(0), gap.eq(0), missed.eq(0)]
        return m


class Link(wiring.Component):
    """Bits of a serial line to commands, and replies to bits.

    ``rx`` and ``tx`` are the line; all else is as in :class:`Endpoint`.

    Args:
        divisor: cycles a bit, from :func:`egru_hw.link.uart.divisor_for`.
        identity: of the device, 32 bits.
    """

    def __init__(self, divisor: int, identity: int):
        self.divisor = divisor
        self.identity = identity
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
            }
            | ACCELERATOR
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(self.divisor)
        m.submodules.endpoint = endpoint = Endpoint(self.identity)
        m.submodules.transmitter = transmitter = UARTTransmitter(self.divisor)
        connect(m, receiver.o, endpoint.rx)
        connect(m, endpoint.tx, transmitter.i)
        connect(m, endpoint.o, wiring.flipped(self.o))
        connect(m, wiring.flipped(self.i), endpoint.i)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            self.reset.eq(endpoint.reset),
            self.open.eq(endpoint.open),
            self.damaged.eq(endpoint.damaged),
        ]
        return m
