"""Replies and counters."""

import numpy as np

from egru_hw.contract.config import preset
from egru_hw.contract.protocol import Counter, Reply, unpack
from egru_hw.gateware.counters import Counters
from egru_hw.gateware.replies import Fork, Merge, SpikeReporter
from egru_hw.gateware.tokens import Kind
from tests.helpers.streams import STALLS, generator, get, put, simulate

CONFIG = preset("tiny")


@STALLS
def test_the_host_hears_of_events_by_global_unit_and_of_finished_steps(stall):
    rng = generator(1)
    dut = SpikeReporter(CONFIG)
    first_groups = [0, 6]
    spikes, expected = [], []
    for told in (1, 0):
        for _ in range(40):
            kind = [Kind.EVENT, Kind.UPDATE, Kind.READOUT, Kind.RESET][rng.integers(0, 4)]
            layer, unit, value = (int(rng.integers(0, n)) for n in (2, 6, 256))
            spikes.append((told, {"kind": kind, "layer": layer, "unit": unit, "value": value}))
            if kind is Kind.EVENT and told:
                global_unit = first_groups[layer] * CONFIG.units_per_cycle + unit
                expected.append((Reply.EVENT, global_unit, value))
            elif kind is Kind.UPDATE and layer == 1:
                expected.append((Reply.STEP, 0, 0))

    async def send(ctx):
        ctx.set(dut.registers.last_layer, 1)
        for layer, group in enumerate(first_groups):
            ctx.set(dut.registers.layers[layer].first_group, group)
        for told, spike in spikes:
            ctx.set(dut.registers.report_events, told)
            await put(ctx, dut.i, [spike], stall, rng)

    async def receive(ctx):
        got = await get(ctx, dut.o, len(expected), stall, rng)
        found = [tuple(int(field) for field in unpack(p.as_bits())) for _, p in got]
        assert found == expected

    simulate(dut, send, receive)


@STALLS
def test_merged_streams_lose_nothing_and_keep_their_own_order(stall):
    rng = generator(2)
    dut = Merge(16, 3)
    streams = [[n << 12 | k for k in range(50)] for n in range(3)]

    def sender(n):
        async def send(ctx):
            await put(ctx, dut.i[n], streams[n], 0.3, np.random.default_rng(n))

        return send

    async def receive(ctx):
        got = [payload for _, payload in await get(ctx, dut.o, 150, stall, rng)]
        for n in range(3):
            assert [p for p in got if p >> 12 == n] == streams[n]

    simulate(dut, *(sender(n) for n in range(3)), receive)


def test_a_cycle_counts_as_one_stall_at_most_and_none_while_lanes_work():
    rng = generator(3)
    dut = Counters()
    reasons = ("output_waits", "weights_wait", "update_waits", "input_waits")
    counters = (
        Counter.STALL_OUTPUT,
        Counter.STALL_WEIGHTS,
        Counter.STALL_UPDATE,
        Counter.STALL_INPUT,
    )
    expected = dict.fromkeys(Counter, 0)

    async def bench(ctx):
        for _ in range(300):
            values = {name: int(rng.random() < 0.5) for name in ("running", "row", *reasons)}
            macs = int(rng.integers(0, 768))
            for name, value in values.items():
                ctx.set(getattr(dut, name), value)
            ctx.set(dut.macs, macs)
            expected[Counter.CYCLES] += values["running"]
            expected[Counter.ROWS] += values["row"]
            expected[Counter.MACS] += macs
            if values["running"] and not values["row"]:
                for counter, reason in zip(counters, reasons, strict=True):
                    if values[reason]:
                        expected[counter] += 1
                        break
            await ctx.tick()
        for name in ("running", "row", "macs", *reasons):
            ctx.set(getattr(dut, name), 0)
        await ctx.tick().repeat(2)
        assert [ctx.get(dut.values[c]) for c in Counter] == [expected[c] for c in Counter]
        ctx.set(dut.clear, 1)
        await ctx.tick()
        assert not any(ctx.get(dut.values[c]) for c in Counter)

    simulate(dut, bench)


@STALLS
def test_a_forked_stream_reaches_every_sink_whole_and_in_the_same_cycles(stall):
    rng = generator(5)
    dut = Fork(16, 3)
    sent = rng.integers(0, 1 << 16, 60).tolist()
    taken = []

    async def send(ctx):
        await put(ctx, dut.i, sent, stall, rng)

    def receiver(n):
        async def receive(ctx):
            got = await get(ctx, dut.o[n], len(sent), stall, np.random.default_rng(n))
            assert [payload for _, payload in got] == sent
            taken.append([cycle for cycle, _ in got])

        return receive

    simulate(dut, send, *(receiver(n) for n in range(3)))
    assert taken[0] == taken[1] == taken[2]
