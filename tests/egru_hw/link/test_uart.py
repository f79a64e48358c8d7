"""The serial line: bytes as bits, and back."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from egru_hw.link.uart import UARTReceiver, UARTTransmitter, divisor_for

DIVISOR = 8
PERIOD = 1e-6  # of the simulated clock


def simulate(design, *testbenches, processes=()):
    """Runs the testbenches to their ends; ``processes`` may go on for ever beside them."""
    simulator = Simulator(design)
    simulator.add_clock(PERIOD)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for process in processes:
        simulator.add_testbench(process, background=True)
    simulator.run()


async def send_bits(ctx, rx, data: bytes, bit_time=DIVISOR * PERIOD, stop=1):
    """Drives the line as a sender would whose bits last ``bit_time``, clock or no clock."""
    for byte in data:
        for bit in (0, *((byte >> position) & 1 for position in range(8)), stop):
            ctx.set(rx, bit)
            await ctx.delay(bit_time)
    ctx.set(rx, 1)
    await ctx.delay(2 * bit_time)


def received_from(dut: UARTReceiver, line) -> bytes:
    """The bytes that come out while testbench ``line`` drives the line."""
    received = bytearray()

    async def sink(ctx):
        async for _, _, valid, payload in ctx.tick().sample(dut.o.valid, dut.o.payload):
            if valid:
                received.append(payload)

    simulate(dut, line, processes=[sink])
    return bytes(received)


@pytest.mark.parametrize("deviation", [-0.02, 0.0, 0.02])
def test_receiver_bears_a_sender_off_by_two_percent(deviation):
    data = np.random.default_rng(4).integers(0, 256, 40).astype(np.uint8).tobytes()
    dut = UARTReceiver(DIVISOR)

    async def line(ctx):
        await send_bits(ctx, dut.rx, data, DIVISOR * PERIOD * (1 + deviation))

    assert received_from(dut, line) == data


def test_receiver_drops_a_byte_without_stop_bit_and_glitches():
    dut = UARTReceiver(DIVISOR)

    async def line(ctx):
        await send_bits(ctx, dut.rx, b"\x00", stop=0)
        ctx.set(dut.rx, 0)
        await ctx.delay(DIVISOR * PERIOD / 4)
        await send_bits(ctx, dut.rx, b"")
        await send_bits(ctx, dut.rx, b"\x5a")

    assert received_from(dut, line) == b"\x5a"


def test_transmitter_takes_ten_bits_and_a_cycle_for_a_byte():
    dut = UARTTransmitter(DIVISOR)

    async def testbench(ctx):
        assert ctx.get(dut.tx) == 1
        for byte in (0x00, 0xFF, 0xA5):
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            assert ctx.get(dut.i.ready)
            await ctx.tick()
            seen = []
            for _ in range(10 * DIVISOR):
                assert not ctx.get(dut.i.ready)
                seen.append(ctx.get(dut.tx))
                await ctx.tick()
            expected = [0, *((byte >> bit) & 1 for bit in range(8)), 1]
            assert seen == [bit for bit in expected for _ in range(DIVISOR)]

    simulate(dut, testbench)


def test_divisor_is_the_nearest_number_of_cycles_a_bit():
    assert divisor_for(80e6, 2e6) == 40
    assert divisor_for(79.5e6, 2e6) == 40


@pytest.mark.parametrize(("frequency", "baud"), [(14e6, 2e6), (31e6, 3e6)])
def test_divisor_of_few_cycles_or_an_inexact_rate_rejected(frequency, baud):
    with pytest.raises(ValueError, match=r"no .* baud from a clock of .* MHz"):
        divisor_for(frequency, baud)


@pytest.mark.parametrize("divisor", [2, 3, DIVISOR])
def test_bytes_without_pause_are_received_at_any_divisor(divisor):
    data = np.random.default_rng(5).integers(0, 256, 40).astype(np.uint8).tobytes()
    dut = UARTReceiver(divisor)

    async def line(ctx):
        await send_bits(ctx, dut.rx, data, divisor * PERIOD)

    assert received_from(dut, line) == data


def test_receiver_waits_for_the_end_of_a_break():
    dut = UARTReceiver(DIVISOR)

    async def line(ctx):
        ctx.set(dut.rx, 0)
        await ctx.delay(50 * DIVISOR * PERIOD)
        await send_bits(ctx, dut.rx, b"", DIVISOR * PERIOD)
        await send_bits(ctx, dut.rx, b"\xa5")

    assert received_from(dut, line) == b"\xa5"
