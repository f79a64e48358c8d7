"""The lanes against sums written out, both banks, and the door behind a marker."""

from dataclasses import replace

import numpy as np

from egru_hw.contract.config import GATE_COUNT, preset
from egru_hw.gateware.mac_lanes import MacLanes
from egru_hw.gateware.tokens import Kind, Source
from golden.integer import SUMS
from tests.helpers.streams import STALLS, generator, get, put, simulate

CONFIG = replace(preset("tiny"), lanes=24)  # two slices of four columns


def packed(weights) -> int:
    bits = CONFIG.weight_bits
    return sum((int(w) & (2**bits - 1)) << (bits * lane) for lane, w in enumerate(weights))


def element(kind, *, bank, source=Source.INPUT, weights=(), word=0, operand=0, firsts=(0, 0)):
    job = {"kind": kind, "layer": 0, "bank": bank, "first": 0, "any_input": 0, "any_recurrent": 0}
    return {
        "fetch": int(kind is Kind.EVENT),
        "row": packed(weights),
        "word": word,
        "operand": int(operand),
        "tag": {
            "job": job,
            "source": source,
            "first_of_job": firsts[0],
            "first_of_source": firsts[1],
        },
    }


def random_job(rng, bank, pitch, operand_limit, inputs):
    """A job's elements, and the sums (word, column, r z p q) they should leave."""
    elements = []
    sums = np.zeros((pitch, CONFIG.columns, 4), np.int64)
    seen = set()
    for _ in range(int(rng.integers(1, 12))):
        source = Source.INPUT if rng.random() < inputs else Source.RECURRENT
        operand = rng.integers(-operand_limit, operand_limit)
        for word in range(pitch):
            weights = rng.integers(-127, 128, CONFIG.lanes)
            product = weights.reshape(CONFIG.columns, GATE_COUNT) * operand
            sums[word, :, :2] += product[:, :2]
            sums[word, :, 2 if source is Source.INPUT else 3] += product[:, 2]
            firsts = (not seen, source not in seen)
            elements.append(
                element(
                    Kind.EVENT,
                    bank=bank,
                    source=source,
                    weights=weights,
                    word=word,
                    operand=operand,
                    firsts=firsts,
                )
            )
        seen.add(source)
    elements.append(element(Kind.UPDATE, bank=bank))
    return elements, sums, seen


async def read_sums(ctx, lanes, bank, word, seen=tuple(Source)):
    """(columns, 4): the sums of a word, group after group."""
    groups = CONFIG.columns // CONFIG.units_per_cycle
    found = []
    for slot in range(groups):
        ctx.set(lanes.sums.select.word, word)
        ctx.set(lanes.sums.select.slot, slot)
        ctx.set(lanes.sums.select.bank, bank)
        ctx.set(lanes.sums.select.any_input, int(Source.INPUT in seen))
        ctx.set(lanes.sums.select.any_recurrent, int(Source.RECURRENT in seen))
        await ctx.tick().repeat(lanes.READ_LATENCY)
        sums = ctx.get(lanes.sums.values)
        found += [[unit[name] for name in SUMS] for unit in sums]
    return np.array(found)


@STALLS
def test_lanes_sum_every_job_in_its_bank_and_start_afresh(stall):
    rng = generator(21)
    lanes = MacLanes(CONFIG)
    pitch = CONFIG.max_pitch
    jobs = [random_job(rng, n % 2, pitch, 2**9, inputs=[0.5, 0.5, 0, 1][n % 4]) for n in range(8)]

    taken = []

    async def send(ctx):
        for n, (elements, _, _) in enumerate(jobs):
            await put(ctx, lanes.i, elements, stall, rng)
            while len(taken) <= n:
                await ctx.tick()

    async def check(ctx):
        for n, (_, sums, seen) in enumerate(jobs):
            await get(ctx, lanes.o, 1, stall, rng)
            taken.append(n)
            # The other bank is being filled meanwhile.
            for word in range(pitch):
                assert (await read_sums(ctx, lanes, n % 2, word, seen) == sums[word]).all()

    simulate(lanes, send, check)


def test_sums_may_leave_the_range_on_the_way_if_they_end_inside():
    lanes = MacLanes(CONFIG)
    big = 2**17 - 1
    steps = [big, big, big, -big, -big, -big + 5]  # 127 of them: beyond 24 bits in between
    weights = [127] * CONFIG.lanes
    elements = [
        element(Kind.EVENT, bank=0, weights=weights, operand=o, firsts=(n == 0, n == 0))
        for n, o in enumerate(steps)
    ]

    async def bench(ctx):
        await put(ctx, lanes.i, [*elements, element(Kind.UPDATE, bank=0)])

    async def check(ctx):
        await get(ctx, lanes.o, 1)
        assert ((await read_sums(ctx, lanes, 0, 0))[:, :3] == 127 * sum(steps)).all()

    simulate(lanes, bench, check)
