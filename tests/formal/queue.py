"""What must be true of a ``Queue``, whatever is put into it and taken out."""

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Elaboratable, Module, Mux, Signal

from egru_hw.gateware.streams import Queue
from tests.formal.prover import opened, watched


class QueueProperties(Elaboratable):
    """Any element comes out unchanged, after those that were there when it went in.

    Therefore none is lost, invented or overtaken.
    """

    def __init__(self, depth: int, width: int = 4):
        self.depth, self.width = depth, width

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(self.width, self.depth)
        fifo = opened(queue).submodules.fifo
        storage = opened(fifo).submodules.storage
        produce, consume = storage.write_ports[0].addr, storage.read_ports[0].addr

        watch = AnySeq(1)  # whether to watch the element that goes in, if none is watched
        goes_in = Signal()
        comes_out = Signal()
        m.d.comb += [
            queue.i.valid.eq(AnySeq(1)),
            queue.i.payload.eq(AnySeq(self.width)),
            queue.o.ready.eq(AnySeq(1)),
            goes_in.eq(queue.i.valid & queue.i.ready),
            comes_out.eq(queue.o.valid & queue.o.ready),
        ]
        watching = Signal()
        value = Signal(self.width)
        before = Signal(range(self.depth + 2))  # elements before it
        count = Signal(range(self.depth + 2))
        m.d.sync += count.eq(count + goes_in - comes_out)
        with m.If(watching & comes_out):
            m.d.sync += before.eq(before - 1)
            with m.If(before == 0):
                m.d.comb += Assert(queue.o.payload == value)
                m.d.sync += watching.eq(0)
        with m.Elif(~watching & watch & goes_in):
            m.d.sync += [watching.eq(1), value.eq(queue.i.payload)]
            m.d.sync += before.eq(count - comes_out)
        m.d.comb += Assert(queue.level == count)

        # Where the watched element is.
        place = Signal(range(2 * self.depth + 1))
        m.d.comb += [
            place.eq(consume + before - queue.o.valid),
            Assert(produce < self.depth),
            Assert(consume < self.depth),
            Assert(count == fifo.level + queue.o.valid),
            Assert(fifo.level <= self.depth),
            Assert(produce == Mux(
                consume + fifo.level >= self.depth,
                consume + fifo.level - self.depth,
                consume + fifo.level,
            )),
        ]  # fmt: skip
        held = watched(m, storage, Mux(place >= self.depth, place - self.depth, place))
        with m.If(watching):
            m.d.comb += Assert(before < count)
            with m.If((before == 0) & queue.o.valid):
                m.d.comb += Assert(queue.o.payload == value)
            with m.Else():
                m.d.comb += Assert(held == value)
        return m
