"""The serial line: packets as bytes, in software and in hardware, and bytes as bits."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from egru_hw.contract.protocol import PACKET
from egru_hw.link import framing
from egru_hw.link.uart import (
    PacketDecoder,
    PacketEncoder,
    PacketUART,
    UARTReceiver,
    UARTTransmitter,
    divisor_for,
)

DIVISOR = 8
PERIOD = 1e-6  # of the simulated clock
BYTES = framing.BYTES_PER_PACKET

packet_lists = st.lists(st.integers(0, 2**framing.PACKET_BITS - 1), max_size=8)


def random_packets(count: int, seed: int) -> list[int]:
    print(f"seed {seed}")
    return np.random.default_rng(seed).integers(0, 2**48, count, dtype=np.uint64).tolist()


def simulate(design, *testbenches, processes=()):
    """Runs the testbenches to their ends; ``processes`` may go on for ever beside them."""
    simulator = Simulator(design)
    simulator.add_clock(PERIOD)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for process in processes:
        simulator.add_testbench(process, background=True)
    simulator.run()


async def put(ctx, port, payloads, stall=0.0, rng=None):
    """Offers payloads to a stream, each after a random pause if ``stall`` is above 0."""
    for payload in payloads:
        while stall and rng.random() < stall:
            await ctx.tick()
        ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)


async def get(ctx, port, count, limit, stall=0.0, rng=None):
    """Takes ``count`` payloads from a stream; fails after ``limit`` cycles."""
    taken = []
    for _ in range(limit):
        ready = not (stall and rng.random() < stall)
        ctx.set(port.ready, ready)
        _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
        if valid and ready:
            taken.append(payload)
            if len(taken) == count:
                break
    ctx.set(port.ready, 0)
    assert len(taken) == count, f"{len(taken)} of {count} came within {limit} cycles"
    return taken


def packet(value: int):
    """What a testbench assigns to a PACKET."""
    return PACKET.from_bits(value)


def bits(payload) -> int:
    """The whole PACKET that a testbench has read, as an integer."""
    return payload.as_bits()


async def send_bits(ctx, rx, data: bytes, bit_time=DIVISOR * PERIOD, stop=1):
    """Drives the line as a sender would whose bits last ``bit_time``, clock or no clock."""
    for byte in data:
        for bit in (0, *((byte >> position) & 1 for position in range(8)), stop):
            ctx.set(rx, bit)
            await ctx.delay(bit_time)
    ctx.set(rx, 1)
    await ctx.delay(2 * bit_time)


# Software


@given(packet_lists)
def test_decode_gives_back_what_was_encoded(packets):
    decoded, rest, lost = framing.decode(framing.encode(packets))
    assert (decoded.tolist(), rest, lost) == (packets, b"", 0)


@given(packet_lists)
def test_only_the_first_byte_of_a_packet_has_its_top_bit_set(packets):
    marks = [byte >> 7 for byte in framing.encode(packets)]
    assert marks == [1, 0, 0, 0, 0, 0, 0] * len(packets)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_decode_does_not_depend_on_how_a_stream_is_cut(stream, cut):
    whole, whole_rest, whole_lost = framing.decode(stream)
    one, rest, one_lost = framing.decode(stream[:cut])
    two, rest, two_lost = framing.decode(rest + stream[cut:])
    assert one.tolist() + two.tolist() == whole.tolist()
    assert (rest, one_lost + two_lost) == (whole_rest, whole_lost)


@given(st.binary(max_size=60))
def test_decode_accounts_for_every_byte(stream):
    packets, rest, lost = framing.decode(stream)
    assert BYTES * len(packets) + len(rest) + lost == len(stream)
    assert len(rest) < BYTES


@given(packet_lists.filter(bool), st.data())
def test_a_lost_byte_costs_one_packet_and_no_other(packets, data):
    stream = framing.encode(packets)
    position = data.draw(st.integers(0, len(stream) - 1))
    decoded, rest, lost = framing.decode(stream[:position] + stream[position + 1 :])
    del packets[position // BYTES]
    assert decoded.tolist() == packets
    assert len(rest) + lost == BYTES - 1


def test_a_packet_of_more_than_48_bits_is_rejected():
    with pytest.raises(ValueError, match="48 bits, not 0x1000000000000"):
        framing.encode([1, 1 << 48])


# Packets and bytes in hardware


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_encoder_equals_its_software_twin(stall):
    packets = random_packets(20, seed := 1)
    dut = PacketEncoder()
    rng = np.random.default_rng(seed)
    sent = []

    async def source(ctx):
        await put(ctx, dut.i, map(packet, packets), stall, rng)

    async def sink(ctx):
        sent.extend(await get(ctx, dut.o, BYTES * len(packets), 2000, stall, rng))

    simulate(dut, source, sink)
    assert bytes(sent) == framing.encode(packets)


@pytest.mark.parametrize("stall", [0.0, 0.7])
def test_decoder_equals_its_software_twin_on_damaged_streams(stall):
    packets = random_packets(60, seed := 2)
    rng = np.random.default_rng(seed)
    stream = np.frombuffer(framing.encode(packets), np.uint8)
    stream = np.repeat(stream, rng.choice([0, 1, 2], len(stream), p=[0.03, 0.94, 0.03])).tobytes()
    expected, _, lost_bytes = framing.decode(stream)
    assert 10 < len(expected) < 60, "the damage should hit some packets and spare others"
    assert lost_bytes
    dut = PacketDecoder()
    decoded, losses = [], []

    async def source(ctx):
        await put(ctx, dut.i, stream, stall, rng)
        await ctx.tick().repeat(2)

    async def sink(ctx):
        async for _, _, valid, payload, lost in ctx.tick().sample(
            dut.o.valid, dut.o.payload, dut.lost
        ):
            if valid:
                decoded.append(bits(payload))
            losses.append(lost)

    simulate(dut, source, processes=[sink])
    assert decoded == expected.tolist()
    assert any(losses)


def test_decoder_reports_no_loss_on_a_sound_stream():
    dut = PacketDecoder()
    stream = framing.encode(random_packets(5, 3))

    async def source(ctx):
        for byte in stream:
            await put(ctx, dut.i, [byte])
            assert not ctx.get(dut.lost)

    simulate(dut, source)


# Bytes and bits


@pytest.mark.parametrize("deviation", [-0.02, 0.0, 0.02])
def test_receiver_bears_a_sender_off_by_two_percent(deviation):
    data = np.random.default_rng(4).integers(0, 256, 40).astype(np.uint8).tobytes()
    dut = UARTReceiver(DIVISOR)
    received = []

    async def line(ctx):
        await send_bits(ctx, dut.rx, data, DIVISOR * PERIOD * (1 + deviation))

    async def sink(ctx):
        async for _, _, valid, payload in ctx.tick().sample(dut.o.valid, dut.o.payload):
            if valid:
                received.append(payload)

    simulate(dut, line, processes=[sink])
    assert bytes(received) == data


def test_receiver_drops_a_byte_without_stop_bit_and_glitches():
    dut = UARTReceiver(DIVISOR)
    received = []

    async def line(ctx):
        await send_bits(ctx, dut.rx, b"\x00", stop=0)
        ctx.set(dut.rx, 0)
        await ctx.delay(DIVISOR * PERIOD / 4)
        await send_bits(ctx, dut.rx, b"")
        await send_bits(ctx, dut.rx, b"\x5a")

    async def sink(ctx):
        async for _, _, valid, payload in ctx.tick().sample(dut.o.valid, dut.o.payload):
            if valid:
                received.append(payload)

    simulate(dut, line, processes=[sink])
    assert received == [0x5A]


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


# All together


def loopback(depth: int = 512) -> tuple[Module, PacketUART]:
    """A UART whose transmitter feeds its receiver."""
    m = Module()
    m.submodules.dut = dut = PacketUART(DIVISOR, depth)
    m.d.comb += dut.rx.eq(dut.tx)
    return m, dut


@pytest.mark.parametrize("stall", [0.0, 0.9])
def test_packets_survive_the_line_under_stalls(stall):
    packets = random_packets(12, seed := 5)
    rng = np.random.default_rng(seed)
    m, dut = loopback()
    received = []

    async def source(ctx):
        await put(ctx, dut.i, map(packet, packets), stall, rng)

    async def sink(ctx):
        received.extend(map(bits, await get(ctx, dut.o, len(packets), 10_000, stall, rng)))
        assert not ctx.get(dut.overrun)
        assert not ctx.get(dut.lost)

    simulate(m, source, sink)
    assert received == packets


def test_a_full_receiver_loses_whole_packets_and_says_so():
    packets = random_packets(6, 6)
    m, dut = loopback(depth=4)
    received = []

    async def testbench(ctx):
        await put(ctx, dut.i, map(packet, packets[:4]))
        await ctx.tick().repeat(11 * DIVISOR * BYTES)
        assert not ctx.get(dut.overrun)
        await put(ctx, dut.i, map(packet, packets[4:5]))
        await ctx.tick().repeat(11 * DIVISOR * BYTES)
        assert ctx.get(dut.overrun)
        received.extend(map(bits, await get(ctx, dut.o, 4, 20)))
        await put(ctx, dut.i, map(packet, packets[5:]))
        received.extend(map(bits, await get(ctx, dut.o, 1, 11 * DIVISOR * BYTES)))
        assert ctx.get(dut.overrun), "the flag stays"
        assert not ctx.get(dut.lost)

    simulate(m, testbench)
    assert received == packets[:4] + packets[5:]


@pytest.mark.parametrize("lost", [*range(BYTES)])
def test_receiver_finds_the_next_packet_after_a_lost_byte(lost):
    packets = random_packets(3, 7)
    stream = framing.encode(packets)
    stream = stream[: BYTES + lost] + stream[BYTES + lost + 1 :]
    dut = PacketUART(DIVISOR)

    async def testbench(ctx):
        await send_bits(ctx, dut.rx, stream)
        assert list(map(bits, await get(ctx, dut.o, 2, 20))) == [packets[0], packets[2]]
        assert ctx.get(dut.lost)
        assert not ctx.get(dut.overrun)

    simulate(dut, testbench)


def test_receiver_that_joins_midway_finds_the_next_packet():
    packets = random_packets(3, 8)
    dut = PacketUART(DIVISOR)

    async def testbench(ctx):
        await send_bits(ctx, dut.rx, framing.encode(packets)[3:])
        assert list(map(bits, await get(ctx, dut.o, 2, 20))) == packets[1:]

    simulate(dut, testbench)
