"""The serial line between a host and the accelerator: 8 data bits, no parity, one stop bit.

``egru_hw.link.framing`` defines how packets are sent as bytes, and what happens to damaged ones.

Flow control. Towards the host, the transmitter holds packets back until the line is free. From
the host there is none, since no wire could carry it: the host must not send more than the
receiver's FIFO holds. Only some commands can wait there:

* A command that is answered (STEP, READ, READOUT) may wait for its replies, which occupy the
  line for 7 bytes each. Until the last of them has arrived, at most ``depth`` further packets may
  be on their way.
* All others execute in less time than their 7 bytes take to arrive, and may be sent back to
  back. For WRITE this assumes a weight store that accepts a row within that time.

The default depth holds the commands of a whole step of 256 inputs, which a host may thus send
while the replies to the step before are on their way. A packet that finds the FIFO full is lost
as a whole, and ``overrun`` stays set until reset.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import cdc, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from egru_hw.contract.protocol import PACKET
from egru_hw.gateware.streams import connect
from egru_hw.link import framing

DATA_BITS = 8
MIN_DIVISOR = 8
MAX_DEVIATION = 0.01  # of the line's rate, from rounding; a UART tolerates 4 % in total

assert PACKET.size == framing.PACKET_BITS


def divisor_for(frequency: float, baud: float) -> int:
    """Cycles per bit at ``frequency`` Hz.

    ``ValueError`` if they are fewer than 8, where a sample may lie too far from the middle of
    its bit, or if the rate would be off by more than 1 %.
    """
    divisor = round(frequency / baud)
    if divisor < MIN_DIVISOR or abs(frequency / divisor / baud - 1) > MAX_DEVIATION:
        raise ValueError(f"no {baud:g} baud from a clock of {frequency / 1e6:g} MHz")
    return divisor


class UARTReceiver(wiring.Component):
    """Bytes from a line.

    Each bit is sampled once, in its middle, so that a byte survives a sender whose rate is off
    by 4 %. ``o`` cannot be stalled. A byte without a stop bit is dropped, as is a start bit
    that ends before its middle.

    Args:
        divisor: cycles a bit, from :func:`divisor_for`.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__(
            {
                "rx": In(1, init=1),
                "o": Out(stream.Signature(DATA_BITS, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rx = Signal(init=1)
        m.submodules += cdc.FFSynchronizer(self.rx, rx, init=1)

        timer = Signal(range(self.divisor))
        bits_left = Signal(range(DATA_BITS + 2))
        m.d.sync += [self.o.valid.eq(0), timer.eq(timer - 1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [timer.eq(self.divisor // 2 - 1), bits_left.eq(DATA_BITS)]
                with m.If(~rx):
                    m.next = "START"
            with m.State("START"):
                with m.If(timer == 0):
                    m.d.sync += timer.eq(self.divisor - 1)
                    m.next = "DATA"
                    with m.If(rx):
                        m.next = "IDLE"
            with m.State("DATA"):
                with m.If(timer == 0):
                    m.d.sync += [timer.eq(self.divisor - 1), bits_left.eq(bits_left - 1)]
                    m.d.sync += self.o.payload.eq(Cat(self.o.payload[1:], rx))
                    with m.If(bits_left == 1):
                        m.next = "STOP"
            with m.State("STOP"):
                with m.If(timer == 0):
                    m.d.sync += self.o.valid.eq(rx)
                    m.next = "RELEASE"
            with m.State("RELEASE"):  # of a line that was low instead of a stop bit
                with m.If(rx):
                    m.next = "IDLE"
        return m


class UARTTransmitter(wiring.Component):
    """Bytes to a line. A byte takes ``10 * divisor + 1`` cycles.

    Args:
        divisor: cycles a bit, from :func:`divisor_for`.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(DATA_BITS)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        frame = Signal(DATA_BITS + 2, init=-1)  # idle: ones
        bits_left = Signal(range(len(frame) + 1))
        timer = Signal(range(self.divisor))
        m.d.comb += [self.tx.eq(frame[0]), self.i.ready.eq(bits_left == 0)]
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                frame.eq(Cat(0, self.i.payload, 1)),
                bits_left.eq(len(frame)),
                timer.eq(self.divisor - 1),
            ]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(bits_left != 0):
            m.d.sync += [
                frame.eq(Cat(frame[1:], 1)),
                bits_left.eq(bits_left - 1),
                timer.eq(self.divisor - 1),
            ]
        return m


class PacketEncoder(wiring.Component):
    """Packets to bytes; one byte a cycle at most, and a cycle between packets."""

    i: In(stream.Signature(PACKET))
    o: Out(stream.Signature(DATA_BITS))

    def elaborate(self, platform):
        m = Module()
        digits = Signal(framing.BYTES_PER_PACKET * framing.DIGIT_BITS)
        first = Signal()
        bytes_left = Signal(range(framing.BYTES_PER_PACKET + 1))
        m.d.comb += [
            self.i.ready.eq(bytes_left == 0),
            self.o.valid.eq(bytes_left != 0),
            self.o.payload.eq(Cat(digits[-framing.DIGIT_BITS :], first)),
        ]
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                digits.eq(self.i.payload.as_value()),
                first.eq(1),
                bytes_left.eq(framing.BYTES_PER_PACKET),
            ]
        with m.If(self.o.ready & self.o.valid):
            m.d.sync += [
                digits.eq(digits << framing.DIGIT_BITS),
                first.eq(0),
                bytes_left.eq(bytes_left - 1),
            ]
        return m


class PacketDecoder(wiring.Component):
    """Bytes to packets, one cycle after a packet's last byte. Without back-pressure.

    ``lost`` is high in the cycle after a byte that reveals an incomplete packet: a first byte
    before the current packet is complete, or another byte outside a packet.
    """

    i: In(stream.Signature(DATA_BITS, always_ready=True))
    o: Out(stream.Signature(PACKET, always_ready=True))
    lost: Out(1)

    def elaborate(self, platform):
        m = Module()
        digits = Signal(framing.BYTES_PER_PACKET * framing.DIGIT_BITS)
        bytes_left = Signal(range(framing.BYTES_PER_PACKET))
        digit = self.i.payload[: framing.DIGIT_BITS]
        first = self.i.payload[framing.DIGIT_BITS]
        m.d.comb += self.o.payload.eq(digits)
        m.d.sync += [self.o.valid.eq(0), self.lost.eq(0)]
        with m.If(self.i.valid):
            m.d.sync += [
                digits.eq(Cat(digit, digits)),
                self.lost.eq(first == (bytes_left != 0)),
                self.o.valid.eq(~first & (bytes_left == 1)),
            ]
            with m.If(first):
                m.d.sync += bytes_left.eq(framing.BYTES_PER_PACKET - 1)
            with m.Elif(bytes_left != 0):
                m.d.sync += bytes_left.eq(bytes_left - 1)
        return m


class PacketUART(wiring.Component):
    """Packet streams over a line.

    ``overrun`` (a packet came while the FIFO was full) and ``lost`` (an incomplete packet) stay
    high until reset.

    Args:
        divisor: cycles a bit, from :func:`divisor_for`.
        depth: packets that the receiver holds; see above.
    """

    def __init__(self, divisor: int, depth: int = 512):
        self.divisor = divisor
        self.depth = depth
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "i": In(stream.Signature(PACKET)),
                "o": Out(stream.Signature(PACKET)),
                "overrun": Out(1),
                "lost": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(self.divisor)
        m.submodules.decoder = decoder = PacketDecoder()
        m.submodules.queue = queue = SyncFIFOBuffered(width=PACKET.size, depth=self.depth)
        m.submodules.encoder = encoder = PacketEncoder()
        m.submodules.transmitter = transmitter = UARTTransmitter(self.divisor)

        m.d.comb += receiver.rx.eq(self.rx)
        connect(m, receiver.o, decoder.i)
        m.d.comb += [
            queue.w_data.eq(decoder.o.payload.as_value()),
            queue.w_en.eq(decoder.o.valid),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        with m.If(decoder.o.valid & ~queue.w_rdy):
            m.d.sync += self.overrun.eq(1)
        with m.If(decoder.lost):
            m.d.sync += self.lost.eq(1)

        connect(m, wiring.flipped(self.i), encoder.i)
        connect(m, encoder.o, transmitter.i)
        m.d.comb += self.tx.eq(transmitter.tx)
        return m
