"""Writes docs/interface.md: all that a driver has to know, from the sources that define it."""

import sys
from collections.abc import Iterable
from dataclasses import fields
from math import ceil
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from egru_hw.contract.config import GATE_COUNT, PRESETS, Config, bits_for, preset  # noqa: E402
from egru_hw.contract.limits import longest_command  # noqa: E402
from egru_hw.contract.protocol import (  # noqa: E402
    IDENTITY,
    PACKET,
    PARAMETERS,
    VALUE_BITS,
    VERSION,
    Command,
    Counter,
    Reply,
    Target,
    config_words,
    word_bits,
    word_depth,
)
from egru_hw.contract.registers import (  # noqa: E402
    REGISTERS,
    global_registers,
    layer_registers,
    register_addresses,
)
from egru_hw.gateware.accelerator import QUEUE_DEPTH  # noqa: E402
from golden.integer import GATES, SUM_TABLE, numerics  # noqa: E402

PAGE = ROOT / "docs" / "interface.md"


def table(titles: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [tuple(titles)]
    lines += [("---",) * len(lines[0])]
    lines += [tuple(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def codes(kind, title: str) -> str:
    return table(
        ("code", title, "meaning"),
        ((member.value, f"`{member.name}`", member.description) for member in kind),
    )


def packet() -> str:
    rows = []
    for name, field in PACKET:
        rows.append((f"{field.offset + field.width - 1}:{field.offset}", name, field.width))
    return table(("bits", "field", "width"), rows)


def targets(name: str) -> str:
    config = preset(name)
    rows = []
    for target in Target:
        bits = word_bits(config, target)
        rows.append(
            (
                target.value, f"`{target.name}`", bits, ceil(bits / VALUE_BITS),
                word_depth(config, target), target.description,
            )
        )  # fmt: skip
    return table(("target", "name", "bits", "chunks", "words", "contents"), rows)


def registers(name: str) -> str:
    config = preset(name)
    common = global_registers(config)
    rows = []
    for key, address in register_addresses(config).items():
        if isinstance(key, str):
            rows.append((address, f"`{key}`", common[key], REGISTERS[key]))
        elif key[0] == 0:
            step = len(layer_registers(config))
            rows.append(
                (
                    f"{address} + {step} l", f"`layer[l].{key[1]}`",
                    layer_registers(config)[key[1]], REGISTERS[key[1]],
                )
            )  # fmt: skip
    return table(("address", "register", "bits", "value"), rows)


def parameters() -> str:
    rows, bias = [], PARAMETERS["bias"]
    for name, field in bias.shape:
        low = bias.offset + field.offset
        total = SUM_TABLE[name]
        rows.append(
            (f"{low + field.width - 1}:{low}", f"b_{name}", numerics.BIAS,
             f"bias of sum {name}: gate {total.gate}, {' and '.join(total.sources)} weights")
        )  # fmt: skip
    field = PARAMETERS["threshold"]
    rows.append(
        (f"{field.offset + field.width - 1}:{field.offset}", "threshold", numerics.THRESHOLD,
         f"0 ... {numerics.THRESHOLD_ONE}")
    )  # fmt: skip
    return table(("bits", "field", "format", "meaning"), rows)


def identity(config: Config) -> str:
    rows = zip(IDENTITY, config_words(config), strict=True)
    return table(
        ("address", "word", "value"),
        (
            (address, f"`{name}`", f"{word:#010x}" if name == "fingerprint" else word)
            for address, (name, word) in enumerate(rows)
        ),
    )


def formats() -> str:
    rows = [
        ("input value", numerics.Format(numerics.VALUE_BITS, 0), "signed; the model sets its number of fraction bits"),
        ("event value", numerics.EVENT, "unsigned, 1 ... 255"),
        ("weight", numerics.weight_format(8), "symmetric; each matrix has its own number of fraction bits"),
        ("bias", numerics.BIAS, "signed"),
        ("threshold", numerics.THRESHOLD, "unsigned, at most 1"),
        ("state h", numerics.STATE, "symmetric"),
        ("accumulator", numerics.ACCUMULATOR, "signed"),
        ("read-out accumulator", numerics.READOUT_ACCUMULATOR, "signed"),
    ]  # fmt: skip
    return table(
        ("quantity", "format", "bits", "remark"),
        ((what, form, form.width, remark) for what, form, remark in rows),
    )


def presets() -> str:
    names = list(PRESETS)
    rows = [
        (f"`{field.name}`", *(getattr(PRESETS[name], field.name) for name in names))
        for field in fields(Config)
    ]
    rows.append(("fingerprint", *(f"{PRESETS[name].fingerprint:#010x}" for name in names)))
    rows.append(
        ("cycles per command, at most", *(f"{longest_command(PRESETS[name]):,}" for name in names))
    )
    return table(("", *(f"`{name}`" for name in names)), rows)


def page(example: str = "tiny") -> str:
    config = preset(example)
    return f"""<!-- Written by `make docs`; changes made here will be lost. -->

# Interface

This page describes everything that a driver needs to load a model into the accelerator and run it. Numbers
that depend on the size of the accelerator are for the preset `{example}`, whose Verilog is `rtl/egru_{example}.v`.

## Ports

The top module is `egru`. Everything is synchronous to the rising edge of `clk`.

| port | direction | bits | meaning |
| --- | --- | --- | --- |
| `clk` | in | 1 | clock |
| `rst` | in | 1 | synchronous reset, active high; see [Reset](#reset) |
| `i__payload` | in | {PACKET.size} | a command |
| `i__valid` | in | 1 | `i__payload` holds a command |
| `i__ready` | out | 1 | the command is accepted |
| `o__payload` | out | {PACKET.size} | a reply |
| `o__valid` | out | 1 | `o__payload` holds a reply |
| `o__ready` | in | 1 | the reply is accepted |
| `busy` | out | 1 | a step is in progress |

A packet is transferred at a clock edge where both `valid` and `ready` are high. Once `valid` is high, it
stays high with the same payload until the transfer. If the host does not accept replies, the
accelerator stalls and eventually deasserts `i__ready`; nothing is lost.

## Packets

Commands and replies have the same layout.

{packet()}

### Commands

{codes(Command, "command")}

Commands are executed in the order in which they arrive. NOP, WRITE, SELECT, RESET and EVENT have no reply.
STEP, READ and READOUT do, except a READ of 0 words and a READOUT of 0 outputs. The host may send further
commands without waiting for replies.

A step is in progress from its first EVENT, or from its STEP if it has none, until its STEP reply. A SELECT,
WRITE or READ between the first EVENT of a step and its STEP first resets the sequence, as RESET does, and so
discards the step. A host that finds the accelerator in an unknown state can therefore simply begin with SELECT.

Between the first EVENT of a step and its STEP, RESET discards the step, and READOUT sends the sums of the
complete steps. Up to {QUEUE_DEPTH} commands and as many replies wait at the ports; a host that does not take
replies finally stalls its own commands, and nothing is lost.

Codes that are not in the table do nothing. No packets, in whatever order, block the accelerator. A command
takes at most {longest_command(config):,} cycles once it is executed, if the host accepts all replies at once; the table of
[presets](#presets) has this bound for the others. It holds whatever the targets contain, even if REGISTERS have
not been loaded or describe no model: the results are then meaningless, but RESET and a correct model make
them exact again.

### Replies

{codes(Reply, "reply")}

Replies with the same code arrive in the order of their commands, and a STEP reply follows the EVENT replies
of its step. OUTPUT replies may arrive after the EVENT and STEP replies to commands that followed the READOUT.
`value` is in two's complement, sign-extended to 32 bits where it is signed.

## Reset

`rst` may be high in any cycle, and one cycle suffices. In the next cycle the accelerator is idle, whatever it
was doing: the step in progress, the packets that wait at the ports, and the chunks of an incomplete word are
discarded. COUNTERS are 0, target REGISTERS is selected at address 0, and a new sequence begins, as after
RESET. REGISTERS, WEIGHTS, PARAMETERS and READOUT keep their contents: a model that has been loaded can still
be run. A packet is not transferred while `rst` is high.

## Targets

SELECT chooses one of these memories; only the {bits_for(len(Target))} lowest bits of its index count. A word wider than {VALUE_BITS}
bits is written in chunks of {VALUE_BITS} bits, least significant chunk first; unused bits of the last chunk are ignored.
Reading a write-only target returns zeros.

{targets(example)}

### WEIGHTS

A word holds {GATE_COUNT} weights for each of `lanes / {GATE_COUNT}` consecutive units: lane
`{GATE_COUNT} * column + gate` occupies `weight_bits` bits from bit `weight_bits * lane` on, with the gates numbered
{", ".join(f"{gate} = {number}" for number, gate in enumerate(GATES))}. An event of source s (an input, or
a unit of the same layer) uses `pitch` consecutive words; word w holds the weights of units
`w * lanes / {GATE_COUNT}` and following. Lanes without a unit hold 0. The inputs of layer 0 come from the host; input s
of a higher layer is unit s of the layer below. The words of a layer for input 0, input 1, ... start at
`input_base`, and those for unit 0, unit 1, ... at `recurrent_base`:

    address(input s, word w) = input_base + s * pitch + w
    address(unit s, word w)  = recurrent_base + s * pitch + w

The rows of the weight matrices are ordered [r; z; n], as in torch.nn.GRU: the weight of gate g of unit u for
source s is element [g * H + u, s].

### PARAMETERS

Word `first_group + n` holds the parameters of group n of a layer, which is `units_per_cycle` consecutive units
from unit `n * units_per_cycle` on, with the first unit in the lowest bits. Each unit has {PARAMETERS.size} bits:

{parameters()}

If the last group of a layer is not full, its unused units have biases of 0 and a threshold of
{numerics.THRESHOLD_ONE}, which no state exceeds.

### READOUT

A word holds `readout_lanes` weights, output 0 in the lowest `weight_bits` bits. Each unit has
`readout_pitch` words: those of unit u of the last layer start at address `u * readout_pitch`, and output k is
in word `k // readout_lanes`, lane `k % readout_lanes`. The bias follows in the `readout_pitch` words from
address `H * readout_pitch` on. In every step the bias is multiplied by `bias_operand` and added.

### STATE

The word at address `first_group * units_per_cycle + u` is the state h of unit u of a layer.

### IDENTITY

These words describe the accelerator, so that a host needs no table of presets. The fingerprint is the CRC-32
of the sizes' JSON text, with the names sorted.

{identity(config)}

### MODEL

A host that finds its model's digest here can run the model without loading it. The digest is the CRC-32 of the
JSON text `{{"REGISTERS": [...], "WEIGHTS": [...], "PARAMETERS": [...], "READOUT": [...]}}` of the words that
loading stores, each a decimal integer; or 1, if that is 0. MODEL relies on memories and registers that have a
value at power-up, as they do in FPGAs.

## Registers

The registers are in target REGISTERS, one word each. Layers l are numbered from 0; there are {config.max_layers}. Registers
must not be written while a sequence is running.

{registers(example)}

The product of a weight and an aligned value must have the {numerics.ACCUMULATOR.fraction} fraction bits of an accumulator. This
determines both alignments, which range from 0 to {numerics.MAX_ALIGNMENT}. `bias_operand` aligns the read-out's bias
with the products of weights and event values:

    alignment    = {numerics.ACCUMULATOR.fraction} - fraction(weights) - fraction(values)
    bias_operand = 2^(fraction(read-out weights) + {numerics.EVENT.fraction} - fraction(read-out bias))

For `input_alignment` of layer 0, the values are the model's inputs. In all other cases they are events, with
{numerics.EVENT.fraction} fraction bits.

## Counters

The counters are in target COUNTERS, {VALUE_BITS} bits each, unsigned and wrapping. They count while `busy` is high. The
stall counters are mutually exclusive; cycles counted neither as ROWS nor as a stall are latency.

{table(("address", "counter", "meaning"), ((c.value, f"`{c.name}`", c.description) for c in Counter))}

## Numeric formats

SQ(i, f) is signed with i bits before the binary point, including the sign, and f bits after it. UQ(i, f) is
unsigned. [numerics.md](numerics.md) specifies the arithmetic.

{formats()}

## Loading a model

1. Read IDENTITY: the model must fit the sizes, and VERSION must be {VERSION}. If MODEL is the model's digest, the
   next step can be left out.
2. For each of REGISTERS, WEIGHTS, PARAMETERS and READOUT: SELECT the target at address 0, then WRITE all
   chunks of all words. Words that are not used need not be written.
3. SELECT COUNTERS and WRITE any value, to clear the counters.

At power-up REGISTERS and COUNTERS are 0, and the contents of the other targets are undefined, unless a model
was built into the bitstream.

## Running a sequence

1. RESET.
2. For each step: one EVENT for each input that is not zero, then STEP.
3. READOUT after the last step for one set of outputs per sequence, or after every STEP for outputs at
   every step.
4. SELECT STATE and READ, for the states after the last step.

The logits of a sequence of T steps are the values of its OUTPUT replies times
`2^-(fraction + {numerics.EVENT.fraction}) / T`, where `fraction` is the number of fraction bits of the read-out's weights.
With a READOUT after every step, T is 1.

The replies to a step are the EVENT replies of layer 0 in the order of its units, then those of layer 1, and
so on, and finally STEP.

## Serial line

On a board, packets travel over a serial line that loses nothing: see [link.md](link.md).

## Presets

These are the sizes of the accelerator in each preset. A model may have any size up to the maxima.

{presets()}
"""


def main() -> None:
    PAGE.write_text(page())
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
