"""Pages hold everything they need, and a browser draws all their figures."""

import ast
import json
import re
from html.parser import HTMLParser

import pytest

import egru_cli.sim
import sim
from egru_cli.report.figures import plot
from egru_cli.report.page import Section, page
from golden.tasks import TASKS
from tests.helpers.browser import PROGRAMS, browser
from tests.helpers.command import invoke
from tests.helpers.device import save
from tests.helpers.toy import Toy


class Reader(HTMLParser):
    """The text of a page outside of scripts, and the addresses it refers to."""

    def __init__(self, text: str):
        super().__init__()
        self.text, self.addresses, self.inside = "", [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.inside = tag
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.text += data


def figures_of(text: str) -> list[dict]:
    """The figures in the script of a page, as Bokeh describes them."""
    (literal,) = re.findall(r"const docs_json = ('.*');", text)
    (document,) = json.loads(ast.literal_eval(literal)).values()
    return document["roots"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of every command that writes one."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "toy", Toy())
        patch.setattr(
            egru_cli.sim,
            "run",
            lambda model, inputs, **_: sim.run(model, inputs, backend="amaranth", config="tiny"),
        )
        model = folder / "toy.safetensors"
        for name, words in (
            ("train", ("train", "toy", "--epochs", 3, "--out", model)),
            ("cost", ("cost", model, "--sequences", 5, "--preset", "tiny")),
            ("sim", ("sim", model, "--sequences", 3, "--out", folder)),
        ):
            file = folder / f"{name}.html"
            result = invoke(*words, "--html", file)
            assert result.exit_code == 0, result.output
            size = file.stat().st_size
            assert f"wrote {file} ({size / 1e6:.1f} MB)" in result.stderr
            assert size < 2e6
    return {name: folder / f"{name}.html" for name in FIGURES}


FIGURES = {"train": 5, "cost": 5, "sim": 5}
"""Figures of each page."""


@pytest.mark.parametrize("name", FIGURES)
def test_a_page_refers_to_nothing_outside(name, pages):
    text = pages[name].read_text()
    assert len(figures_of(text)) == FIGURES[name]
    assert Reader(text).addresses == ["data:,"]


@pytest.mark.parametrize("name", ["train", "sim"])
def test_a_page_has_every_figure_of_the_report(name, pages):
    report = {"train": "toy.json", "sim": "report.json"}[name]
    text = Reader(pages[name].read_text()).text
    for key, value in json.loads((pages[name].parent / report).read_text()).items():
        for part in value if isinstance(value, dict) else [key]:
            assert part.replace("_", " ") in text


def test_text_is_never_taken_for_html():
    hostile = "<script>alert(1)</script>"
    section = Section(hostile, hostile, [plot("", hostile, "y")])
    text = page(hostile, hostile, [(hostile, hostile)], [section], {hostile: {hostile: hostile}})
    assert "<script>alert" not in text
    assert Reader(text).text.count(hostile) == 10


def test_a_page_without_figures_has_its_tables():
    text = page("title", "", [("name", "value")], [], {"fact": 0.25, "group": {"none": None}})
    for word in ("title", "name", "value", "fact", "0.25", "group", "none"):
        assert word in Reader(text).text


def test_a_run_without_a_check_shows_what_the_device_reported(tmp_path, device):
    model = save(tmp_path / "m.safetensors", 3, 2, {"task": "delay-copy"}, readout="steps")
    file = tmp_path / "page.html"
    words = ("run", model, "--sequences", 2, "--port", "P", "--out", tmp_path, "--html", file)
    for more, count in ((), 5), (("--no-check",), 3), (("--no-check", "--no-events"), 1):
        result = invoke(*words, *more)
        assert result.exit_code == 0, result.output
        text = file.read_text()
        assert len(figures_of(text)) == count
        assert ("hardware: " in text, "integer model: " in text) == (
            "--no-events" not in more,
            not more,
        )


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    for command in ("sim", "run", "cost", "train"):
        result = invoke(command, "mnist1d", "--html", tmp_path)
        assert result.exit_code == 2
        assert f"error: {tmp_path} is not a regular file" in result.stderr


@pytest.fixture(scope="module")
def chromium():
    if not all(PROGRAMS):
        pytest.skip("Chromium and its driver are not installed")
    with browser() as session:
        yield session


@pytest.mark.parametrize("size", [(1280, 800), (420, 800)], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", FIGURES)
def test_a_browser_draws_all_figures_and_loads_nothing(name, size, pages, chromium):
    chromium.requests()
    chromium.open(pages[name], *size)
    drawn = chromium.ink()
    assert len(drawn) == FIGURES[name]
    assert min(drawn) > 50, drawn
    assert chromium.console() == []
    asked = {address.partition(":")[0] for address in chromium.requests()}
    assert asked <= {"file", "data", "chrome"}
    assert chromium.evaluate("return document.documentElement.scrollWidth <= innerWidth")
