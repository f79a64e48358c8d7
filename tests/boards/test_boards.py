"""Boards: clock, pins, and a bitstream that exists only if the design fits and is fast enough."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import io

import boards
import egru_cli.bitstream as command
from boards import BuildError
from boards.ecp5 import flow
from boards.ecp5.pll import (
    OSCILLATOR_MAX,
    OSCILLATOR_MIN,
    PHASE_DETECTOR_MIN,
    Dividers,
    dividers,
)
from boards.ecp5.tools import Tools
from boards.ecp5.top import Top, check_clock
from boards.ecp5.utilization import Use, Utilization, overfull
from boards.ulx3s import BOARD
from egru_hw.contract.config import preset
from egru_hw.contract.image import Image, build_image
from tests.helpers.command import invoke
from tests.helpers.models import random_model

ROOT = Path(__file__).parents[2]

# PLL


def test_dividers_of_the_default_clock_are_those_worked_out_by_hand():
    # 25 / 5 = 5 MHz at the phase detector, times 16 = 80 MHz, times 8 = 640 MHz inside.
    assert dividers(25, 80) == Dividers(reference=5, feedback=16, post=8)


@pytest.mark.parametrize("output", [12.5, 25, 50, 62.5, 75, 80, 83.3333, 100, 125, 143.75, 400])
def test_dividers_make_the_clock_within_the_plls_limits(output):
    found = dividers(25, output)
    made = found.output(25)
    assert made == pytest.approx(output, rel=1e-3)
    assert 25 / found.reference >= PHASE_DETECTOR_MIN
    assert OSCILLATOR_MIN <= made * found.post <= OSCILLATOR_MAX


@pytest.mark.parametrize("output", [1, 77, 900])
def test_clock_that_the_pll_cannot_make_rejected(output):
    with pytest.raises(ValueError, match=rf"cannot make {output} MHz from 25 MHz; the nearest"):
        dividers(25, output)


def test_clock_that_the_serial_port_cannot_divide_rejected():
    with pytest.raises(ValueError, match=r"no 2e\+06 baud from a clock of 12\.5"):
        check_clock(BOARD, 12.5)


# Reports

REPORT = {
    "fmax": {
        "$glbnet$accelerator.clk": {"achieved": 83.2, "constraint": 80.0},
        "$glbnet$crystal": {"achieved": 210.0, "constraint": 25.0},
    },
    "utilization": {
        "TRELLIS_COMB": {"used": 11732, "available": 24288},
        "TRELLIS_FF": {"used": 4523, "available": 24288},
        "DP16KD": {"used": 45, "available": 56},
        "MULT18X18D": {"used": 28, "available": 28},
        "TRELLIS_IO": {"used": 10, "available": 197},
    },
}

LOG = """\
Info: Logic utilisation before packing:
Info:           RAM LUTs:   3184/ 3036   104%

Info: Device utilisation:
Info: \t          TRELLIS_IO:      10/    197     5%
Info: \t              DP16KD:      {rams}/     56    80%
Info: \t          MULT18X18D:      28/     28   100%
Info: \t        TRELLIS_COMB:   {luts}/  24288    48%

{end}
"""
FITTING = LOG.format(rams=45, luts=11732, end="Info: Program finished normally.")
OVERFULL = LOG.format(rams=70, luts=30000, end="ERROR: Unable to find legal placement")


def test_report_names_clock_and_resources():
    report = Utilization.parse(json.dumps(REPORT), 80)
    assert (report.achieved, report.demanded) == (83.2, 80)
    assert report.resources == {
        "LUTs": Use(11732, 24288),
        "flip-flops": Use(4523, 24288),
        "block RAMs": Use(45, 56),
        "multipliers": Use(28, 28),
    }


def test_report_without_the_demanded_clock_rejected():
    with pytest.raises(ValueError, match="no clock of 90 MHz"):
        Utilization.parse(json.dumps(REPORT), 90)


def test_log_of_a_design_that_fits_names_no_overfull_resource():
    assert overfull(FITTING) == {}


def test_log_of_a_design_that_does_not_fit_names_what_is_overfull():
    assert overfull(OVERFULL) == {"block RAMs": Use(70, 56), "LUTs": Use(30000, 24288)}


# The build, with stand-ins for its tools


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


class FakeTools:
    """Programs on PATH that say what ``say`` told them to."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.write("yosys", "true", version="Yosys 0.70 (git sha1 28ba3cb92)")
        self.write("ecppack", "echo fresh > top.bit", version="ecppack Version 1.4-82-g3afe7b5")
        self.say(REPORT, FITTING)

    def write(self, name: str, script: str, version: str = "Version 1") -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" && exit\n{script}\n')
        path.chmod(0o755)

    def say(self, report: dict | None, log: str, status: int = 0) -> None:
        """What place and route answers."""
        (self.folder / "report").write_text(json.dumps(report))
        (self.folder / "log").write_text(log)
        self.write(
            "nextpnr-ecp5",
            f"cat {self.folder}/log; cp {self.folder}/report nextpnr.json; exit {status}",
            version="nextpnr-ecp5 -- Place and Route (Version nextpnr-0.11.1)",
        )


@pytest.fixture
def tools(tmp_path, monkeypatch):
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    return FakeTools(folder)


@pytest.fixture
def run(tmp_path, monkeypatch, tools):
    """Calls the command line on a small design; ``run.bitstream`` is where it writes."""
    model = tmp_path / "random.safetensors"
    model.write_bytes(b"a model")
    integer = random_model(np.random.default_rng(1), 4, (8,), 2)
    loaded = {model: SimpleNamespace(twin=lambda: integer)}
    monkeypatch.setattr(command, "load", loaded.__getitem__)
    monkeypatch.setattr(flow, "Top", Blinker)

    def run(*arguments: str):
        words = arguments or ("ulx3s", "--variant", "12F")
        return invoke("bitstream", "--model", model, "--out", tmp_path, *words)

    run.bitstream = tmp_path / "ulx3s-12f" / "egru.bit"
    run.report = run.bitstream.with_name("report.json")
    run.bitstream.parent.mkdir()
    run.bitstream.write_text("stale")
    run.report.write_text("stale")
    return run


def sentence(result) -> str:
    """The error, which is all that a failed run may end with."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    *_, last = result.stderr.strip().splitlines()
    assert last.startswith("error: ")
    return last


def test_build_leaves_a_bitstream_and_a_report(run):
    result = run()
    assert result.exit_code == 0, result.output
    assert run.bitstream.read_text() == "fresh\n"
    report = json.loads(run.report.read_text())
    assert report["mhz"] == {"achieved": 83.2, "demanded": 80}
    assert report["resources"]["block RAMs"] == {"used": 45, "available": 56}
    assert report["tools"] == {
        "yosys": "0.70",
        "nextpnr-ecp5": "0.11.1",
        "ecppack": "1.4-82-g3afe7b5",
    }
    assert report["placement_seed"] == 2
    assert report["seconds"] >= 0
    for step in ("synthesis: yosys", "place and route: nextpnr-ecp5", "packing: ecppack"):
        assert step in result.stderr
    assert re.search(r"block RAMs.*45.*56.*80%", result.stdout)


def test_build_that_misses_its_clock_leaves_no_bitstream(run, tools):
    slow = json.loads(json.dumps(REPORT).replace("83.2", "79.9"))
    tools.say(slow, FITTING)
    assert "misses its clock: it reaches 79.9 MHz of 80" in sentence(run())
    assert not run.bitstream.exists()
    assert not run.report.exists()


def test_build_that_does_not_fit_leaves_no_bitstream(run, tools):
    tools.say(None, OVERFULL, status=1)
    message = sentence(run())
    assert "does not fit: it needs 70 of 56 block RAMs, 30000 of 24288 LUTs" in message
    log = re.search(r"log: (.*)\)", message)[1]
    assert "Unable to find legal placement" in Path(log).read_text()
    assert not run.bitstream.exists()


def test_tool_that_fails_is_named_with_its_last_error(run, tools):
    tools.write("yosys", "echo ERROR: out of luck; exit 1")
    assert "synthesis failed: out of luck (log: " in sentence(run())
    assert not run.bitstream.exists()


def test_tool_that_was_ended_is_named(run, tools):
    tools.write("nextpnr-ecp5", "kill -TERM $$")
    assert "place and route failed: nextpnr-ecp5 was ended by signal 15 (" in sentence(run())
    assert not run.bitstream.exists()


def test_synthesis_does_not_merge_the_slices_of_the_lanes(run):
    assert run().exit_code == 0
    script = run.bitstream.with_name("top.ys").read_text()
    assert script.index("keep_hierarchy 1 *.slice_*") < script.index("synth_ecp5")
    assert script.index("synth_ecp5") < script.index("flatten")


def test_tool_that_does_not_start_is_named(run, tools):
    (tools.folder / "ecppack").write_text("#!/bin/sh\necho no such library >&2; exit 127\n")
    assert "ecppack does not start: no such library" in sentence(run())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ulx4s",), "'ulx4s' is not a board: expected one of ulx3s."),
        (
            ("ulx3s", "--variant", "13F"),
            "'13F' is not a variant of ulx3s: expected one of 12F, ",
        ),
        (("ulx3s", "--frequency", "77"), "cannot make 77 MHz from 25 MHz"),
    ],
)
def test_build_of_something_unknown_rejected(run, arguments, message):
    assert message in sentence(run(*arguments))


@pytest.fixture
def stale(tmp_path):
    """The bitstream of an earlier build for the 12F."""
    path = tmp_path / "ulx3s-12f" / "egru.bit"
    path.parent.mkdir()
    path.write_text("stale")
    return path


def build_12f(model, stale, **options):
    return boards.build(BOARD, "12F", model, stale.parents[1], **options)


def test_model_that_does_not_fit_leaves_no_bitstream_of_an_earlier_one(tools, stale):
    large = random_model(np.random.default_rng(1), 4, (8,), preset("ulx3s-12f").max_outputs + 1)
    with pytest.raises(ValueError, match="the model does not fit this accelerator"):
        build_12f(large, stale)
    assert not stale.exists()


@pytest.mark.parametrize(
    ("mhz", "message"),
    [
        (77, "the PLL cannot make 77 MHz from 25 MHz"),
        (0, "the clock must be a positive number of MHz, not 0"),
        (-80, "the clock must be a positive number of MHz, not -80"),
        (float("nan"), "the clock must be a positive number of MHz, not nan"),
    ],
)
def test_clock_that_cannot_be_made_leaves_no_bitstream(tools, stale, mhz, message):
    with pytest.raises(ValueError, match=message):
        build_12f(random_model(np.random.default_rng(1), 4, (8,), 2), stale, mhz=mhz)
    assert not stale.exists()


def test_missing_model_rejected(tmp_path, tools):
    missing = str(tmp_path / "none.safetensors")
    assert missing in sentence(invoke("bitstream", "ulx3s", "--model", missing))


# Tools


def test_native_tools_are_preferred(tools):
    found = Tools.find()
    assert found.native
    assert found.paths["yosys"] == str(tools.folder / "yosys")


def test_yowasp_is_used_unless_every_native_tool_is_there(tools):
    (tools.folder / "ecppack").unlink()
    if shutil.which("ecppack"):
        pytest.skip("this system has tools of its own")
    found = Tools.find()
    assert not found.native
    assert all(Path(path).name == f"yowasp-{name}" for name, path in found.paths.items())


def test_absence_of_all_tools_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(BuildError, match=r"^yosys, nextpnr-ecp5, ecppack are missing: .*\.$"):
        Tools.find()


# Pins


@pytest.fixture(scope="module")
def plan():
    config = preset("tiny")
    model = random_model(np.random.default_rng(1), 4, (8,), 2)
    top = Top(BOARD, config, build_image(model, config), 80)
    return BOARD.variant("12F").platform().prepare(top, "top")


@pytest.mark.parametrize(
    ("port", "pin"),
    [("clk25", "G2"), ("uart_0__rx", "M1"), ("uart_0__tx", "L4"), ("esp32_0__gpio0", "L2")],
)
def test_top_is_wired_to_the_boards_pins(plan, port, pin):
    assert re.search(rf'LOCATE COMP "{port}\w*" SITE "{pin}"', plan.files["top.lpf"])


def test_crystal_is_constrained_and_multiplied(plan):
    assert re.search(r'FREQUENCY PORT "clk25\w*" 25000000.0 HZ', plan.files["top.lpf"])
    netlist = plan.files["top.il"]
    for parameter, value in (("CLKI_DIV", 5), ("CLKFB_DIV", 16), ("CLKOP_DIV", 8)):
        match = re.search(rf"parameter (?:signed )?\\{parameter} (\d+)", netlist)
        assert match, parameter
        assert int(match[1]) == value


def test_esp32_is_only_held_off_the_board(plan):
    assert plan.files["top.lpf"].count("esp32") == 2, "the pin's place and its attributes"


def test_bitstream_holds_the_model(plan):
    top = Top(BOARD, preset("tiny"), Image.empty(), 80)
    empty = BOARD.variant("12F").platform().prepare(top, "top")
    assert empty.files["top.il"] != plan.files["top.il"]


@pytest.mark.parametrize("package", ["egru_hw", "golden", "sim"])
def test_no_pin_is_named_outside_boards(package):
    for path in (ROOT / package).rglob("*.py"):
        assert not re.search(r"\bPins\(|platform\.request", path.read_text()), path


def test_every_board_is_found_by_its_name_and_has_presets_that_exist():
    for name in boards.BOARDS:
        board = boards.find(name)
        assert board.name == name
        for variant in board.variants:
            assert preset(board.variant(variant.lower()).preset)


def test_a_board_is_one_short_file():
    for name in boards.BOARDS:
        assert len((ROOT / "boards" / f"{name}.py").read_text().splitlines()) <= 40
