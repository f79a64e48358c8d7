"""Sparse weight fetch, with the memory on the chip and with one that answers when it likes."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from egru_hw.gateware.weight_fetch import WeightFetch
from egru_hw.gateware.weight_store import OnChipWeightStore
from tests.helpers.streams import STALLS, generator, get, plain, put, simulate

ROWS, ROW_BITS, ADDRESS_BITS = 64, 24, 6


def make_fetch():
    return WeightFetch(
        address_bits=ADDRESS_BITS, row_bits=ROW_BITS, index_bits=4, pitch_bits=3, tag=5
    )


def random_work(rng, count):
    """Events and markers, and the rows that each should bring."""
    work, expected = [], []
    for _ in range(count):
        event = {
            "fetch": int(rng.random() < 0.8),
            "base": int(rng.integers(0, 8)),
            "index": int(rng.integers(0, 8)),
            "pitch": int(rng.integers(1, 8)),
            "value": int(rng.integers(-(2**8), 2**8)),
            "alignment": int(rng.integers(0, 10)),
            "tag": int(rng.integers(0, 32)),
        }
        work.append(event)
        operand = event["value"] << event["alignment"]
        first = event["base"] + event["index"] * event["pitch"]
        for word in range(event["pitch"] if event["fetch"] else 1):
            row = (first + word) * 0x1357 % 2**ROW_BITS if event["fetch"] else None
            expected.append((event["fetch"], row, word, operand, event["tag"]))
    return work, expected


def check(got, expected):
    for (_, payload), (fetch, row, word, operand, tag) in zip(got, expected, strict=True):
        found = plain(payload)
        assert (found["fetch"], found["operand"], found["tag"]) == (fetch, operand, tag)
        if fetch:
            assert (found["row"], found["word"]) == (row, word)


@STALLS
def test_events_bring_their_rows_in_order_from_the_on_chip_store(stall):
    rng = generator(5)
    work, expected = random_work(rng, 150)
    fetch = make_fetch()
    store = OnChipWeightStore(
        width=ROW_BITS, depth=ROWS, init=[a * 0x1357 % 2**ROW_BITS for a in range(ROWS)]
    )
    m = Module()
    m.submodules.fetch, m.submodules.store = fetch, store
    wiring.connect(m, fetch.request, store.request)
    wiring.connect(m, fetch.row, store.row)

    async def send(ctx):
        await put(ctx, fetch.i, work, stall, rng)

    async def receive(ctx):
        got = await get(ctx, fetch.o, len(expected), stall, rng)
        check(got, expected)
        if not stall:
            cycles = [cycle for cycle, _ in got]
            assert cycles[-1] - cycles[0] == len(expected) - 1, "one element a cycle"

    simulate(m, send, receive)


@pytest.mark.parametrize("latency", [0, 3, 20])
def test_any_store_that_answers_in_order_will_do(latency):
    rng = generator(6)
    work, expected = random_work(rng, 100)
    fetch = make_fetch()
    rows = sum(fetched for fetched, *_ in expected)
    asked = []

    async def send(ctx):
        await put(ctx, fetch.i, work, 0.2, rng)

    async def take_requests(ctx):
        for _ in range(rows):
            ((_, address),) = await get(ctx, fetch.request, 1, 0.3, rng)
            asked.append(address)

    async def answer(ctx):
        for row in range(rows):
            await ctx.tick().repeat(1 + int(rng.integers(0, latency + 1)))
            while len(asked) <= row:
                await ctx.tick()
            await put(ctx, fetch.row, [asked[row] * 0x1357 % 2**ROW_BITS])

    async def receive(ctx):
        check(await get(ctx, fetch.o, len(expected), 0.2, rng), expected)

    simulate(fetch, send, take_requests, answer, receive)


def test_the_store_is_rewritten_row_by_row():
    rng = generator(7)
    store = OnChipWeightStore(width=ROW_BITS, depth=ROWS)
    rows = rng.integers(0, 2**ROW_BITS, ROWS).tolist()
    order = rng.permutation(ROWS).tolist()

    async def bench(ctx):
        await put(ctx, store.write, [{"address": a, "data": rows[a]} for a in order])

    async def send(ctx):
        await ctx.tick().repeat(ROWS + 1)
        await put(ctx, store.request, order, 0.3, rng)

    async def receive(ctx):
        await ctx.tick().repeat(ROWS + 1)
        got = await get(ctx, store.row, ROWS, 0.3, rng)
        assert [payload for _, payload in got] == [rows[a] for a in order]

    simulate(store, bench, send, receive)
