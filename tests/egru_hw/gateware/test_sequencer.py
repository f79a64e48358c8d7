"""The sequencer: which events meet which weights, in which order, and when lists are opened."""

import numpy as np
import pytest

from egru_hw.contract.config import preset
from egru_hw.contract.protocol import PACKET, Command, pack
from egru_hw.gateware.sequencer import Sequencer
from egru_hw.gateware.tokens import Kind, Source
from tests.helpers.streams import STALLS, generator, get, plain, put, simulate

CONFIG = preset("tiny")


def layer_values(rng, layer):
    return {
        "units": 4 + layer,
        "pitch": 1 + layer,
        "input_base": 10 * layer,
        "recurrent_base": 10 * layer + 50,
        "input_alignment": int(rng.integers(0, 10)),
        "recurrent_alignment": int(rng.integers(0, 10)),
    }


def event_list(rng, units=4):
    fired = np.nonzero(rng.random(units) < 0.5)[0]
    return [(int(unit), int(rng.integers(1, 256))) for unit in fired]


class Model:
    """What the sequencer should send, written out: a list of (kind, fields)."""

    def __init__(self, values):
        self.values, self.sent, self.bank, self.first = values, [], 0, 1

    def events(self, layer, source, events):
        value = self.values[layer]
        side = "input" if source is Source.INPUT else "recurrent"
        for index, raw in events:
            self.sent.append(
                {
                    "kind": Kind.EVENT,
                    "index": index,
                    "base": value[f"{side}_base"],
                    "pitch": value["pitch"],
                    "value": raw,
                    "alignment": value[f"{side}_alignment"],
                    "source": source,
                    "first_of_source": int(not self.touched[source]),
                    "first_of_job": int(not any(self.touched.values())),
                }
            )
            self.touched[source] = 1

    def start(self):
        self.touched = {Source.INPUT: 0, Source.RECURRENT: 0}

    def marker(self, kind, layer):
        self.sent.append(
            {"kind": kind, "layer": layer, "bank": self.bank, "first": self.first}
            | {"any_input": self.touched[Source.INPUT]}
            | {"any_recurrent": self.touched[Source.RECURRENT]}
        )
        if kind is Kind.UPDATE:
            self.bank ^= 1


@STALLS
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_every_layer_gets_its_events_once_and_then_its_marker(layers, stall):
    rng = generator(layers)
    values = [layer_values(rng, layer) for layer in range(layers)]
    model = Model(values)
    commands, lists = [], []  # lists: answers to replays, in the order they are expected
    previous: list[list] = [[]] * layers
    model.start()
    for step in range(7):
        if step in (0, 4):
            commands.append(pack(Command.EVENT, 3, 77))  # of a step that RESET abandons
            model.events(0, Source.INPUT, [(3, 77)])
            commands.append(pack(Command.RESET))
            model.sent.append({"kind": Kind.RESET})
            model.start()
            model.first = 1
        fired = [event_list(rng) for _ in range(layers)]
        external = [(u, v - 128) for u, v in event_list(rng) if v != 128]
        commands += [pack(Command.EVENT, u, v) for u, v in external]
        commands.append(pack(Command.STEP))
        for layer in range(layers):
            own = [] if model.first else [(layer, previous[layer])]
            below = [(layer - 1, fired[layer - 1])] if layer else []
            if layer == 0:
                model.events(0, Source.INPUT, external)
            for source, replays in ((Source.RECURRENT, own), (Source.INPUT, below)):
                for replay in replays:
                    lists.append(replay)
                    model.events(layer, source, replay[1])
            model.marker(Kind.UPDATE, layer)
            model.start()
        model.first = 0
        previous = fired
    commands.append(pack(Command.READOUT))
    model.sent.append({"kind": Kind.READOUT})

    dut = Sequencer(CONFIG)
    opened = []

    async def send(ctx):
        ctx.set(dut.registers.last_layer, layers - 1)
        for number, value in enumerate(values):
            for name, raw in value.items():
                ctx.set(dut.registers.layers[number][name], raw)
        await put(ctx, dut.i, [PACKET.from_bits(int(c)) for c in commands], stall, rng)

    async def replay(ctx):
        for layer, events in lists:
            ((_, asked),) = await get(ctx, dut.replay, 1, stall, rng)
            assert asked == layer
            elements = [{"event": {"unit": u, "value": v}, "end": 0} for u, v in events]
            end = {"event": {"unit": 0, "value": 0}, "end": 1}
            await put(ctx, dut.events, [*elements, end], stall, rng)

    async def check(ctx):
        for expected in model.sent:
            ((_, payload),) = await get(ctx, dut.o, 1, stall, rng)
            found = plain(payload)
            found |= found.pop("tag")
            found |= found.pop("job")
            expected = {k: getattr(v, "value", v) for k, v in expected.items()}
            assert {name: found[name] for name in expected} == expected
            assert found["fetch"] == (found["kind"] == Kind.EVENT.value)
            if expected["kind"] != Kind.EVENT.value:
                for _ in range(int(rng.integers(1, 9))):
                    await ctx.tick()
                    assert not ctx.get(dut.o.valid), "nothing passes a marker"
                ctx.set(dut.taken, 1)
                await ctx.tick()
                ctx.set(dut.taken, 0)

    async def watch_opened(ctx):
        while len(opened) < 7 * layers:
            _, _, valid, layer = await ctx.tick().sample(dut.open.valid, dut.open.payload)
            if valid:
                opened.append(layer)
        assert opened == list(range(layers)) * 7

    simulate(dut, send, replay, check, watch_opened)
