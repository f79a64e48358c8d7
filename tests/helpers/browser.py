"""Chromium without a window, driven over WebDriver, for tests of pages."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROGRAMS = tuple(map(shutil.which, ("chromium", "chromedriver")))

# Figures are in shadow roots, and so are their canvases. Ink is what is drawn, except in black and
# grey: the data, not the axes.
FIGURES = """
const within = (root) => [...root.querySelectorAll("*")].flatMap(
  (element) => [element, ...(element.shadowRoot ? within(element.shadowRoot) : [])]);
const ink = (canvas) => {
  if (!canvas.width || !canvas.height) return 0;
  const context = canvas.getContext("2d");
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    const colours = pixels.slice(at, at + 3);
    count += pixels[at + 3] > 0 && Math.max(...colours) - Math.min(...colours) > 30;
  }
  return count;
};
return within(document).filter((element) => element.classList.contains("bk-Figure")).map(
  (figure) => Math.max(...within(figure.shadowRoot)
    .filter((element) => element.localName == "canvas").map(ink)));
"""


class Browser:
    """A session of Chromium."""

    def __init__(self, address: str):
        self._address = address

    def call(self, method: str, path: str, **body: Any) -> Any:
        request = urllib.request.Request(
            f"{self._address}{path}",
            json.dumps(body).encode() if method == "POST" else None,
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path, width: int, height: int) -> None:
        """Open ``page`` and wait until all its figures are drawn."""
        self.call("POST", "/window/rect", width=width, height=height)
        self.call("POST", "/url", url=page.resolve().as_uri())
        idle = "const done = arguments[0], look = () => window.Bokeh && Bokeh.documents.length && "
        idle += "Bokeh.documents.every((d) => d.is_idle) ? done() : setTimeout(look, 50); look();"
        self.call("POST", "/execute/async", script=idle, args=[])

    def evaluate(self, script: str) -> Any:
        return self.call("POST", "/execute/sync", script=script, args=[])

    def ink(self) -> list[int]:
        """Of each figure, how many pixels have a colour."""
        return self.evaluate(FIGURES)

    def console(self) -> list[str]:
        """Warnings and errors since the last call."""
        found = self.call("POST", "/se/log", type="browser")
        return [entry["message"] for entry in found if entry["level"] in ("WARNING", "SEVERE")]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call."""
        events = [
            json.loads(entry["message"])["message"]
            for entry in self.call("POST", "/se/log", type="performance")
        ]
        asked = [e for e in events if e["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]


@contextmanager
def browser() -> Iterator[Browser]:
    chromium, driver = PROGRAMS
    assert driver
    with (
        TemporaryDirectory() as profile,
        subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout
            started = (re.search(r"started successfully on port (\d+)", s) for s in process.stdout)
            port = next(found[1] for found in started if found)
            arguments = [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                f"--user-data-dir={profile}",
            ]  # fmt: skip
            wanted = {
                "goog:chromeOptions": {"binary": chromium, "args": arguments},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            address = f"http://127.0.0.1:{port}/session"
            made = Browser(address).call("POST", "", capabilities={"alwaysMatch": wanted})
            session = Browser(f"{address}/{made['sessionId']}")
            try:
                yield session
            finally:
                session.call("DELETE", "")
        finally:
            process.terminate()
