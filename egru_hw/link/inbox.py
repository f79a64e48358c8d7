"""The inbox: payloads of DATA frames, until the accelerator has taken their commands."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import PACKET, VALUE_BITS, Command
from egru_hw.link.cobs import BYTE
from egru_hw.link.frames import TO_DEVICE_HEADER
from egru_hw.link.packing import HEAD_BYTES, MAX_PACKET_BYTES, SIZES
from egru_hw.link.slots import SLOT_BITS, byte_memory, end_memory, full, in_slot

PAYLOAD = len(TO_DEVICE_HEADER)
"""Position of the payload in a frame."""

assert all(command.value_bytes != 1 for command in Command), "all values are signed"


class Inbox(wiring.Component):
    """Stores frames in slots, and takes out their packets, two cycles a byte.

    * ``i``: a byte of the frame being received; ``position``: its position in the frame.
    * ``commit``: store the frame, whose payload ends before position ``end``. A frame that began
      while no slot was free is dropped.
    * ``stored``: a frame is stored; ``freed``: all packets of a frame have been taken.
    * ``received``, ``consumed``: how many frames have been stored and freed, modulo 256.
    * ``o``: the packets. An incomplete one at the end of a frame is dropped.
    """

    i: In(stream.Signature(BYTE, always_ready=True))
    position: In(BYTE)
    commit: In(1)
    end: In(BYTE)
    stored: Out(1)
    freed: Out(1)
    received: Out(BYTE)
    consumed: Out(BYTE)
    o: Out(stream.Signature(PACKET))

    def elaborate(self, platform):
        m = Module()
        write, read = byte_memory(m)
        write_end, read_end = end_memory(m)

        # A slot that becomes free in mid-frame lacks the frame's beginning.
        free = Signal()
        with m.If(self.position == 0):
            m.d.sync += free.eq(~full(self.received, self.consumed))
        m.d.comb += [
            write.addr.eq(in_slot(self.received, self.position)),
            write.data.eq(self.i.payload),
            write.en.eq(self.i.valid & free),
            write_end.addr.eq(self.received[:SLOT_BITS]),
            write_end.data.eq(self.end),
            write_end.en.eq(self.stored),
            self.stored.eq(self.commit & free),
        ]
        m.d.sync += self.received.eq(self.received + self.stored)

        place = Signal(BYTE, init=PAYLOAD)
        packet = Signal(PACKET)  # `code` is of use once the head is complete
        count = Signal(range(MAX_PACKET_BYTES + 1))  # bytes of it
        complete = Signal()
        head = packet.as_value()[VALUE_BITS:]
        value = packet.value
        m.d.comb += [
            read.addr.eq(in_slot(self.consumed, place)),
            read_end.addr.eq(self.consumed[:SLOT_BITS]),
            complete.eq((count >= HEAD_BYTES) & (count == Array(SIZES[Command])[packet.code])),
            self.o.payload.eq(packet),
        ]
        with m.FSM():
            with m.State("FETCH"):
                with m.If(complete):
                    m.next = "SEND"
                with m.Elif(self.consumed != self.received):
                    with m.If(place == read_end.data):
                        m.d.comb += self.freed.eq(1)
                        m.d.sync += [place.eq(PAYLOAD), count.eq(0)]
                    with m.Else():
                        m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [place.eq(place + 1), count.eq(count + 1)]
                with m.Switch(count):
                    with m.Case(0):
                        m.d.sync += [head[:BYTE].eq(read.data), value.eq(0)]
                    with m.Case(1):
                        m.d.sync += head[BYTE:].eq(read.data)
                    for position in range(HEAD_BYTES, MAX_PACKET_BYTES):
                        with m.Case(position):
                            low = BYTE * (position - HEAD_BYTES)
                            m.d.sync += value[low:].eq(read.data.as_signed())
                m.next = "FETCH"
            with m.State("SEND"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += count.eq(0)
                    m.next = "FETCH"
        m.d.sync += self.consumed.eq(self.consumed + self.freed)
        return m
