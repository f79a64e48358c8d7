"""The event queue: lists that can be read twice, also while they are written."""

from egru_hw.contract.config import preset
from egru_hw.gateware.event_queue import EventQueue
from tests.helpers.streams import STALLS, generator, get, plain, put, simulate

CONFIG = preset("tiny")
BASES = [0, 7, 12]
SIZES = [7, 5, 4]


def events_of(rng, layer, count):
    units = sorted(rng.choice(SIZES[layer], count, replace=False).tolist())
    return [{"unit": u, "value": int(rng.integers(1, 256))} for u in units]


async def set_bases(ctx, queue):
    for layer, base in enumerate(BASES):
        ctx.set(queue.base[layer], base)


async def pulse(ctx, port, payload):
    ctx.set(port.payload, payload)
    ctx.set(port.valid, 1)
    await ctx.tick()
    ctx.set(port.valid, 0)


async def read(ctx, queue, layer, count, stall, rng):
    await put(ctx, queue.replay, [layer])
    got = [plain(payload) for _, payload in await get(ctx, queue.o, count + 1, stall, rng)]
    assert [element["end"] for element in got] == [0] * count + [1]
    return [element["event"] for element in got[:-1]]


@STALLS
def test_each_list_replays_in_order_as_often_as_asked(stall):
    rng = generator(3)
    queue = EventQueue(CONFIG)
    lists = [events_of(rng, layer, count) for layer, count in enumerate((7, 0, 3))]

    async def bench(ctx):
        await set_bases(ctx, queue)
        for layer, events in enumerate(lists):
            await pulse(ctx, queue.open, layer)
            await put(ctx, queue.i, [{"layer": layer, "event": event} for event in events])
            await pulse(ctx, queue.close, layer)
        for layer in (0, 1, 2, 0, 0, 2, 1):
            assert await read(ctx, queue, layer, len(lists[layer]), stall, rng) == lists[layer]

    simulate(queue, bench)


@STALLS
def test_a_reader_follows_the_writer_and_waits_for_the_list_to_be_closed(stall):
    rng = generator(4)
    queue = EventQueue(CONFIG)
    rounds = [events_of(rng, 0, count) for count in (7, 3, 0, 5)]
    opened = []

    async def write(ctx):
        await set_bases(ctx, queue)
        for events in rounds:
            while len(opened) and opened[-1] == "reading":
                await ctx.tick()
            await pulse(ctx, queue.open, 0)
            opened.append("reading")
            payloads = [{"layer": 0, "event": event} for event in events]
            await put(ctx, queue.i, payloads, 0.7, rng)
            await ctx.tick().repeat(int(rng.integers(1, 9)))
            await pulse(ctx, queue.close, 0)

    async def follow(ctx):
        for events in rounds:
            while not opened or opened[-1] != "reading":
                await ctx.tick()
            assert await read(ctx, queue, 0, len(events), stall, rng) == events
            opened.append("read")

    simulate(queue, write, follow)


def test_an_event_comes_out_two_cycles_after_it_went_in():
    queue = EventQueue(CONFIG)

    async def bench(ctx):
        await set_bases(ctx, queue)
        await pulse(ctx, queue.open, 0)
        await pulse(ctx, queue.replay, 0)
        await ctx.tick().repeat(3)
        assert ctx.get(queue.waiting)
        ctx.set(queue.o.ready, 1)
        await put(ctx, queue.i, [{"layer": 0, "event": {"unit": 5, "value": 9}}])
        assert not ctx.get(queue.o.valid)
        await ctx.tick()
        assert ctx.get(queue.o.valid)
        assert ctx.get(queue.o.payload.event.unit) == 5

    simulate(queue, bench)
