"""Amaranth test benches: what every component's test needs of streams and time."""

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module, ValueCastable
from amaranth.sim import Simulator

STALLS = pytest.mark.parametrize("stall", [0.0, 0.4])
TIME_LIMIT = 50_000  # cycles; a bench that takes longer hangs


def generator(seed: int) -> np.random.Generator:
    """Random numbers of a printed seed."""
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def simulate(design, *testbenches):
    """Run all ``testbenches`` to their ends."""

    top = Module()
    top.domains.sync = ClockDomain()  # also for designs without a register
    top.submodules.design = design
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for _ in range(2 * TIME_LIMIT):  # the clock's edges
        if not simulator.advance():
            return
    raise AssertionError(f"not finished after {TIME_LIMIT} cycles")


async def put(ctx, port, payloads, stall=0.0, rng=None):
    """Send ``payloads``, holding each back for a random while."""
    for payload in payloads:
        while stall and rng.random() < stall:
            await ctx.tick()
        ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)


async def get(ctx, port, count, stall=0.0, rng=None):
    """Receive ``count`` payloads, not ready at random; returns them with their cycles."""
    payloads, cycle = [], 0
    while len(payloads) < count:
        ready = not (stall and rng.random() < stall)
        ctx.set(port.ready, ready)
        _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
        if valid and ready:
            payloads.append((cycle, payload))
        cycle += 1
    ctx.set(port.ready, 0)
    return payloads


def plain(payload):
    """A sampled payload as an int or a dict of them."""
    if isinstance(payload, ValueCastable) and hasattr(payload.shape(), "members"):
        return {name: plain(payload[name]) for name in payload.shape().members}
    return int(payload) if not hasattr(payload, "value") else payload.value
