"""``egru bitstream``: its table, its report, and how it refuses bad input."""

import json
import re
from types import SimpleNamespace

import pytest

import egru_cli.bitstream as command
from boards import Build, BuildError
from boards.ecp5.utilization import Utilization
from egru_hw.contract.config import PRESETS, Config
from tests.helpers.command import invoke
from tests.helpers.fpga_tools import REPORT

TOOLS = {"yosys": "0.70", "nextpnr-ecp5": "0.11.1", "ecppack": "1.4"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Calls the command; ``run.built`` has the arguments of the build, ``run.report`` its file."""
    model = tmp_path / "random.safetensors"
    model.write_bytes(b"a model")
    monkeypatch.setattr(command, "load", lambda path: SimpleNamespace(twin=lambda: "integers"))

    def build(board, variant, model, out, **options):
        run.built = (board.name, variant, model, options["mhz"], options["placement_seed"])
        options["progress"]("synthesis: yosys")
        return Build(run.report.with_name("egru.bit"), run.utilization, TOOLS, 1.25)

    def run(*words: str):
        words = words or ("ulx3s", "--variant", "12f")
        return invoke("bitstream", "--model", model, "--out", tmp_path, *words)

    monkeypatch.setattr(command, "build", build)
    run.utilization = Utilization.parse(json.dumps(REPORT), 80)
    run.report = tmp_path / "ulx3s-12f" / "report.json"
    run.report.parent.mkdir()
    run.report.write_text("stale")
    return run


def sentence(result) -> str:
    """The error, which is all that a failed run may end with."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    *_, last = result.stderr.strip().splitlines()
    assert last.startswith("error: ")
    return last


def test_the_report_holds_what_the_table_on_standard_output_shows(run):
    result = run()
    assert result.exit_code == 0, result.output
    assert run.built == ("ulx3s", "12f", "integers", None, 2)
    report = json.loads(run.report.read_text())
    assert report["variant"] == "12F"
    assert Config(**report["config"]) == PRESETS["ulx3s-12f"]
    assert report["mhz"] == {"achieved": 83.2, "demanded": 80}
    assert report["resources"]["block RAMs"] == {"used": 45, "available": 56}
    assert report["tools"] == TOOLS
    assert report["placement_seed"] == 2
    assert report["seconds"] == 1.2
    assert re.search(r"block RAMs.*45.*56.*80%", result.stdout)
    assert "synthesis: yosys" in result.stderr


def test_a_build_that_fails_is_a_sentence_and_leaves_no_report(run, monkeypatch):
    def fail(*arguments, **options):
        raise BuildError("the design does not fit.")

    monkeypatch.setattr(command, "build", fail)
    assert sentence(run()) == "error: the design does not fit."
    assert not run.report.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ulx4s",), "'ulx4s' is not a board: expected one of ulx3s."),
        (("ulx3s", "--variant", "13F"), "'13F' is not a variant of ulx3s: expected one of 12F, "),
    ],
)
def test_something_unknown_is_a_sentence(run, words, message):
    assert message in sentence(run(*words))


def test_a_clock_that_cannot_be_made_is_a_sentence(tmp_path):
    words = ("ulx3s", "--variant", "12F", "--frequency", "77", "--out", tmp_path)
    assert "the PLL cannot make 77 MHz from 25 MHz" in sentence(invoke("bitstream", *words))


def test_a_seed_that_nextpnr_would_refuse_after_minutes_is_refused_at_once(run):
    result = run("ulx3s", "--placement-seed", str(1 << 64))
    assert result.exit_code == 2
    assert "Invalid value for '--placement-seed'" in result.stderr


def test_a_missing_model_is_a_sentence(tmp_path):
    missing = str(tmp_path / "none.safetensors")
    assert missing in sentence(invoke("bitstream", "ulx3s", "--model", missing))
