"""Frames to a line."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import VERSION
from egru_hw.gateware.shapes import register
from egru_hw.link.cobs import BYTE, ELEMENT
from egru_hw.link.frames import (
    CRC,
    CRC_BYTES,
    FROM_DEVICE_HEADER,
    IDENTITY_BYTES,
    NONCE_BYTES,
    PADDING,
    WELCOME_BYTES,
    FromDevice,
)


class FrameTransmitter(wiring.Component):
    """Sends what there is to send, frame by frame, and padding behind the last one.

    * ``o``: bytes and ends of frames, one in three cycles at most. The first one after a reset is
      an end, for a frame that the reset may have broken off.
    * ``open``: a session is open; it begins with a WELCOME. ``nonce``: for it.
    * ``gap``, ``waiting``, ``tell``: GAP, DATA or STATUS is to be sent, in this order; ``gapped``:
      GAP will be. ``begun``: a DATA frame will soon be waiting.
    * ``number``, ``ack``, ``consumed``: for the headers. ``told``: ``ack`` is being sent, and then
      ``consumed``.
    * ``length``, ``position``, ``byte``, ``idle``, ``sent``: see ``Outbox``.

    Args:
        identity: of the device, for the WELCOME.
    """

    def __init__(self, identity: int):
        self.identity = identity
        super().__init__(
            {
                "open": In(1),
                "nonce": In(NONCE_BYTES * BYTE),
                "gap": In(1),
                "gapped": Out(1),
                "waiting": In(1),
                "begun": In(1),
                "tell": In(1),
                "number": In(BYTE),
                "ack": In(BYTE),
                "consumed": In(BYTE),
                "told": Out(1),
                "length": In(BYTE),
                "position": Out(BYTE),
                "byte": In(BYTE),
                "idle": Out(1),
                "sent": Out(1),
                "o": Out(stream.Signature(ELEMENT)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC.create()
        kind = Signal(BYTE)
        left = Signal(BYTE)  # bytes of the payload
        padding = Signal(range(PADDING + 1))
        greeted = Signal()

        fields = {
            "kind": kind,
            "number": self.number,
            "ack": self.ack,
            "consumed": self.consumed,
        }
        header = Cat(fields[name] for name in FROM_DEVICE_HEADER)
        welcome = Cat(self.nonce, Const(VERSION, BYTE), Const(self.identity, IDENTITY_BYTES * BYTE))
        position, element = self.position, self.o.payload

        # A byte passes two registers, in the block RAM and behind all sources of bytes.
        taken = Signal()
        source = Signal(BYTE)
        byte = register(BYTE)
        settled = Signal(2)
        m.d.comb += [
            taken.eq(self.o.valid & self.o.ready),
            element.data.eq(byte),
            crc.data.eq(byte),
        ]
        m.d.sync += [byte.eq(source), settled.eq(Cat(1, settled))]
        with m.If(taken | self.idle):
            m.d.sync += settled.eq(0)

        def begin(of: FromDevice, length):
            m.d.sync += [kind.eq(of), left.eq(length), padding.eq(PADDING)]
            m.next = "HEADER"

        with m.FSM(init="END"):
            with m.State("IDLE"):
                m.d.comb += [self.idle.eq(1), crc.start.eq(1)]
                m.d.sync += position.eq(0)
                with m.If(self.open & ~greeted):
                    m.d.sync += greeted.eq(1)
                    begin(FromDevice.WELCOME, WELCOME_BYTES)
                with m.Elif(self.gap):
                    m.d.comb += self.gapped.eq(1)
                    begin(FromDevice.GAP, 0)
                with m.Elif(self.waiting):
                    begin(FromDevice.DATA, self.length)
                with m.Elif(self.begun):
                    pass
                with m.Elif(self.tell):
                    begin(FromDevice.STATUS, 0)
                with m.Elif(padding != 0):
                    m.d.sync += padding.eq(padding - 1)
                    m.next = "END"
            with m.State("HEADER"):
                m.d.comb += [
                    self.o.valid.eq(settled[-1]),
                    source.eq(header.word_select(position[:2], BYTE)),
                    crc.valid.eq(taken),
                    self.told.eq(taken & (position == FROM_DEVICE_HEADER.index("ack"))),
                ]
                with m.If(taken):
                    m.d.sync += position.eq(position + 1)
                    with m.If(position == len(FROM_DEVICE_HEADER) - 1):
                        m.d.sync += position.eq(0)
                        m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += [
                    self.o.valid.eq(settled[-1] & (left != 0)),
                    source.eq(self.byte),
                    crc.valid.eq(taken),
                ]
                with m.If(kind == FromDevice.WELCOME):
                    m.d.comb += source.eq(welcome.word_select(position[:4], BYTE))
                with m.If(taken):
                    m.d.sync += [position.eq(position + 1), left.eq(left - 1)]
                with m.If(left == 0):
                    m.d.comb += self.sent.eq(kind == FromDevice.DATA)
                    m.d.sync += position.eq(0)
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [
                    self.o.valid.eq(settled[-1]),
                    source.eq(crc.crc.word_select(position[:2], BYTE)),
                ]
                with m.If(taken):
                    m.d.sync += position.eq(position + 1)
                    with m.If(position == CRC_BYTES - 1):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [self.o.valid.eq(settled[-1]), element.end.eq(1)]
                with m.If(taken):
                    m.next = "IDLE"
        return m
