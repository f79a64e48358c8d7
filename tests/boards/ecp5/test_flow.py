"""A bitstream exists only if the design fits and is fast enough; its tools are stand-ins."""

import json
import re
from pathlib import Path

import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import io

import boards
from boards import BuildError
from boards.ecp5 import flow
from boards.ecp5.utilization import Use
from boards.ulx3s import BOARD
from egru_hw.contract.config import preset
from sim.random_models import random_model
from tests.helpers.fpga_tools import FITTING, OVERFULL, REPORT
from tests.helpers.streams import generator


class Blinker(Elaboratable):
    """Stands in for the accelerator, which takes seconds to generate."""

    def __init__(self, board, config, image, mhz):
        pass

    def elaborate(self, platform):
        m = Module()
        beat = Signal(4)
        m.d.sync += beat.eq(beat + 1)
        m.submodules.led = led = io.Buffer("o", platform.request("led", dir="-"))
        m.d.comb += led.o.eq(beat[-1])
        return m


@pytest.fixture
def build(tmp_path, monkeypatch, tools):
    """Builds a small design for the 12F; ``build.bitstream`` is where, with one there already."""
    monkeypatch.setattr(flow, "Top", Blinker)

    def build(outputs: int = 2, **options):
        model = random_model(generator(1), 4, (8,), outputs)
        return boards.build(BOARD, "12F", model, tmp_path, **options)

    build.bitstream = tmp_path / "ulx3s-12f" / "egru.bit"
    build.bitstream.parent.mkdir()
    build.bitstream.write_text("stale")
    return build


def test_build_returns_the_bitstream_and_how_it_was_made(build):
    steps = []
    done = build(progress=steps.append)
    assert done.bitstream == build.bitstream
    assert done.bitstream.read_text() == "fresh\n"
    assert (done.utilization.achieved, done.utilization.demanded) == (83.2, 80)
    assert done.utilization.resources["block RAMs"] == Use(45, 56)
    assert done.tools == {"yosys": "0.70", "nextpnr-ecp5": "0.11.1", "ecppack": "1.4-82-g3afe7b5"}
    assert done.seconds >= 0
    assert steps[-3:] == ["synthesis: yosys", "place and route: nextpnr-ecp5", "packing: ecppack"]


def test_resources_are_those_of_the_packed_design_which_is_not_placed(tmp_path, monkeypatch, tools):
    monkeypatch.setattr(flow, "Top", Blinker)
    tools.write("nextpnr-ecp5", f'echo "$@" > {tmp_path}/arguments; cat {tools.folder}/log')
    used, versions = flow.resources(BOARD, "12F", preset("tiny"), tmp_path / "synthesis")
    assert used["LUTs"] == Use(11732, 24288)
    assert versions.keys() == {"yosys", "nextpnr-ecp5", "ecppack"}
    arguments = (tmp_path / "arguments").read_text().split()
    assert "--pack-only" in arguments
    assert "--textcfg" not in arguments  # nextpnr would abort


def test_a_linked_bitstream_is_written_where_the_link_leads(build, tmp_path):
    build.bitstream.unlink()
    build.bitstream.symlink_to(tmp_path / "there.bit")
    build()
    assert build.bitstream.is_symlink()
    assert (tmp_path / "there.bit").read_text() == "fresh\n"


def test_a_bitstream_that_cannot_be_written_is_refused_before_the_build(build):
    build.bitstream.unlink()
    build.bitstream.mkdir()
    with pytest.raises(ValueError, match=r"egru\.bit is not a regular file: name another place"):
        build(progress=lambda step: pytest.fail(step))


def test_build_that_misses_its_clock_leaves_no_bitstream(build, tools):
    tools.say(json.loads(json.dumps(REPORT).replace("83.2", "79.9")), FITTING)
    with pytest.raises(BuildError, match=r"misses its clock: it reaches 79\.9 MHz of 80"):
        build()
    assert not build.bitstream.exists()


def test_build_that_does_not_fit_leaves_no_bitstream(build, tools):
    tools.say(None, OVERFULL, status=1)
    needs = "does not fit: it needs 70 of 56 block RAMs, 30000 of 24288 LUTs"
    with pytest.raises(BuildError, match=needs) as error:
        build()
    log = re.search(r"log: (.*)\)", str(error.value))[1]
    assert "Unable to find legal placement" in Path(log).read_text()
    assert not build.bitstream.exists()


def test_tool_that_fails_is_named_with_its_last_error(build, tools):
    tools.write("yosys", "echo ERROR: out of luck; exit 1")
    with pytest.raises(BuildError, match=r"synthesis failed: out of luck \(log: "):
        build()
    assert not build.bitstream.exists()


def test_tool_that_was_ended_is_named(build, tools):
    tools.write("nextpnr-ecp5", "kill -TERM $$")
    ended = r"place and route failed: nextpnr-ecp5 was ended by signal 15 \("
    with pytest.raises(BuildError, match=ended):
        build()
    assert not build.bitstream.exists()


def test_tool_that_does_not_start_is_named(build, tools):
    (tools.folder / "ecppack").write_text(
        "#!/bin/sh\necho Traceback: >&2; echo no such library >&2; exit 127\n"
    )
    with pytest.raises(BuildError, match=r"ecppack does not start: no such library$"):
        build()
    assert not build.bitstream.exists()


def test_model_that_does_not_fit_leaves_no_bitstream_of_an_earlier_one(build):
    with pytest.raises(ValueError, match="the model does not fit this accelerator"):
        build(outputs=preset("ulx3s-12f").max_outputs + 1)
    assert not build.bitstream.exists()


@pytest.mark.parametrize(
    ("mhz", "message"),
    [
        (77, "the PLL cannot make 77 MHz from 25 MHz"),
        (0, "the clock must be a positive number of MHz, not 0"),
        (-80, "the clock must be a positive number of MHz, not -80"),
        (float("nan"), "the clock must be a positive number of MHz, not nan"),
    ],
)
def test_clock_that_cannot_be_made_leaves_no_bitstream(build, mhz, message):
    with pytest.raises(ValueError, match=message):
        build(mhz=mhz)
    assert not build.bitstream.exists()


def test_synthesis_does_not_merge_the_slices_of_the_lanes(build):
    build()
    script = build.bitstream.with_name("top.ys").read_text()
    assert script.index("keep_hierarchy 1 *.slice_*") < script.index("synth_ecp5")
    assert script.index("synth_ecp5") < script.index("flatten")
