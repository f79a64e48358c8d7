"""The host's port: loading, reading back, waiting for quiet, handing on."""

import pytest
from amaranth.hdl import ResetInserter, Signal

from egru_hw.contract.config import preset
from egru_hw.contract.image import Image
from egru_hw.contract.protocol import (
    PACKET,
    Command,
    Counter,
    Reply,
    Target,
    config_words,
    pack,
    unpack,
    word_bits,
    word_depth,
)
from egru_hw.contract.registers import layer_registers, register_addresses
from egru_hw.gateware.host_port import LOADED, HostPort, chunks
from tests.helpers.streams import STALLS, generator, get, put, simulate

CONFIG = preset("tiny")


def packets(*commands):
    return [PACKET.from_bits(int(command)) for command in commands]


def writes(word, config, target):
    return [
        pack(Command.WRITE, 0, (word >> (32 * n)) & 0xFFFFFFFF)
        for n in range(chunks(config, target))
    ]


@pytest.mark.parametrize("config", [preset("tiny"), preset("ulx3s-85f")], ids=["tiny", "85f"])
@pytest.mark.parametrize("target", LOADED, ids=lambda target: target.name)
@pytest.mark.parametrize("stall", [0.0, 0.4, 0.95])
def test_words_of_any_width_arrive_whole_and_at_rising_addresses(config, target, stall):
    rng = generator(1)
    bits = word_bits(config, target)
    words = [int.from_bytes(rng.bytes(bits // 8 + 1)) & ((1 << bits) - 1) for _ in range(5)]
    start = word_depth(config, target) - len(words)
    dut = HostPort(config)
    port = getattr(dut, f"write_{target.name.lower()}")
    stored = []

    async def send(ctx):
        ctx.set(dut.idle, 1)
        commands = [pack(Command.SELECT, target, start)]
        commands += [chunk for word in words for chunk in writes(word, config, target)]
        await put(ctx, dut.i, packets(*commands))

    async def watch(ctx):
        for _, payload in await get(ctx, port, len(words), stall, rng):
            stored.append((payload.address, payload.data))
        assert stored == [(start + n, word) for n, word in enumerate(words)]

    simulate(dut, send, watch)


def registers_at_power_up(words: list[int]) -> Image:
    return Image(Image.empty().words | {Target.REGISTERS: words})


def test_every_register_is_loaded_at_its_address_and_holds_its_power_up_value():
    names = register_addresses(CONFIG)
    dut = HostPort(CONFIG, registers_at_power_up([number % 2 for number in names.values()]))

    def value_of(ctx, name):
        if isinstance(name, str):
            return ctx.get(dut.registers[name])
        return ctx.get(dut.registers.layers[name[0]][name[1]])

    async def bench(ctx):
        for name, address in names.items():
            assert value_of(ctx, name) == address % 2
        ctx.set(dut.idle, 1)
        values = [address * 7 for address in names.values()]
        await put(
            ctx,
            dut.i,
            packets(
                pack(Command.SELECT, Target.REGISTERS, 0),
                *(pack(Command.WRITE, 0, v) for v in values),
            ),
        )
        await ctx.tick().repeat(2)
        for (name, _), value in zip(names.items(), values, strict=True):
            width = (
                len(dut.registers[name])
                if isinstance(name, str)
                else layer_registers(CONFIG)[name[1]]
            )
            assert value_of(ctx, name) == value % (1 << width), name

    simulate(dut, bench)


def test_a_reset_keeps_the_registers():
    dut, reset = HostPort(CONFIG, registers_at_power_up([1])), Signal()
    load = packets(pack(Command.SELECT, Target.REGISTERS, 0), pack(Command.WRITE, 0, 2))

    async def bench(ctx):
        ctx.set(dut.idle, 1)
        await put(ctx, dut.i, load)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.registers.last_layer) == 2
        ctx.set(reset, 1)
        await ctx.tick()
        assert ctx.get(dut.registers.last_layer) == 2

    simulate(ResetInserter(reset)(dut), bench)


@STALLS
def test_state_counters_identity_and_model_are_read_back(stall):
    rng = generator(2)
    image = registers_at_power_up([1, 2, 3])
    dut = HostPort(CONFIG, image)
    states = rng.integers(-(2**15) + 1, 2**15, 6).tolist()
    counts = [100 + counter for counter in Counter]
    expected = [*states, *counts, *config_words(CONFIG), image.digest]

    async def states_port(ctx):
        # Two cycles of latency, as UnitGroup has.
        first = ctx.get(dut.state_unit)
        while len(replies) < len(expected):
            second, first = first, ctx.get(dut.state_unit)
            await ctx.tick()
            ctx.set(dut.state, states[second % len(states)])

    replies = []

    async def send(ctx):
        ctx.set(dut.idle, 1)
        for counter in Counter:
            ctx.set(dut.counters[counter], 100 + counter)
        commands = []
        for target, count in (
            (Target.STATE, len(states)),
            (Target.COUNTERS, len(Counter)),
            (Target.IDENTITY, word_depth(CONFIG, Target.IDENTITY)),
            (Target.MODEL, 1),
        ):
            commands += [pack(Command.SELECT, target, 0), pack(Command.READ, 0, count)]
        await put(ctx, dut.i, packets(*commands), stall, rng)

    async def receive(ctx):
        for _, packet in await get(ctx, dut.o, len(expected), stall, rng):
            code, _, value = unpack(packet.as_bits())
            assert code == Reply.DATA
            replies.append(int(value))
        assert [r & 0xFFFFFFFF for r in replies] == [e & 0xFFFFFFFF for e in expected]

    simulate(dut, send, receive, states_port)


def test_loading_waits_until_the_accelerator_is_idle():
    dut = HostPort(CONFIG)

    async def bench(ctx):
        for command in (Command.SELECT, Command.WRITE, Command.READ):
            ctx.set(dut.i.payload, PACKET.from_bits(int(pack(command))))
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.idle, 0)
            await ctx.tick()
            assert not ctx.get(dut.i.ready)
            ctx.set(dut.idle, 1)
            assert ctx.get(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    simulate(dut, bench)


@STALLS
def test_commands_for_the_sequencer_are_handed_on_in_order(stall):
    rng = generator(3)
    dut = HostPort(CONFIG)
    codes = rng.choice([Command.RESET, Command.EVENT, Command.STEP, Command.READOUT], 60)
    sent = [int(pack(code, n, n * 3)) for n, code in enumerate(codes.tolist())]

    async def send(ctx):
        await put(ctx, dut.i, packets(*sent), stall, rng)

    async def receive(ctx):
        got = await get(ctx, dut.commands, len(sent), stall, rng)
        assert [packet.as_bits() for _, packet in got] == sent

    simulate(dut, send, receive)


@pytest.mark.parametrize("target", LOADED, ids=lambda target: target.name)
def test_commands_wait_until_a_slow_memory_has_stored_the_word_before_them(target):
    rng = generator(4)
    word = int.from_bytes(rng.bytes(64)) & ((1 << word_bits(CONFIG, target)) - 1)
    dut = HostPort(CONFIG)
    port = getattr(dut, f"write_{target.name.lower()}")
    other = next(t for t in LOADED if t != target)
    events = []

    async def send(ctx):
        ctx.set(dut.idle, 1)
        await put(ctx, dut.i, packets(pack(Command.SELECT, target, 1),
                                      *writes(word, CONFIG, target), pack(Command.RESET),
                                      pack(Command.SELECT, other, 0),
                                      *writes(0, CONFIG, other)))  # fmt: skip

    async def memory(ctx):
        await ctx.tick().until(port.valid)
        await ctx.tick().repeat(20)
        assert not events, "handed on while a word was not yet stored"
        ((_, payload),) = await get(ctx, port, 1)
        events.append("stored")
        assert (payload.address, payload.data) == (1, word)
        ((_, payload),) = await get(ctx, getattr(dut, f"write_{other.name.lower()}"), 1)
        assert (payload.address, payload.data) == (0, 0)

    async def sequencer(ctx):
        await get(ctx, dut.commands, 1)
        events.append("reset")

    simulate(dut, send, memory, sequencer)
    assert events == ["stored", "reset"]
