"""The tutorial: its files are made, and its commands exist. ``make tutorial`` runs them."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from golden.tasks import configure
from tests.helpers.command import invoke

TEXT = Path("docs/tutorial.md").read_text()
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
COMMANDS = [shlex.split(line[2:]) for line in TEXT.splitlines() if line.startswith("$ ")]


def test_its_files_hold_tasks_of_the_three_kinds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    for name, content in FILES.items():
        Path(name).write_text(content)
        runpy.run_path(name)
        assert ["python", name] in COMMANDS
    for words in COMMANDS:
        if "train" in words:
            task = configure("own-data", Path(words[words.index("--data") + 1]))
            split = task.test()
            found[task.data.name] = (task.readout, task.values, split.lengths is not None)
    assert found == {
        "gestures.npz": ("mean", None, True),
        "series.csv": ("steps", 1, False),
        "machine.npz": ("steps", None, False),
    }


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "egru"])
def test_every_option_exists_and_every_command_has_shown_its_output(words):
    shown = invoke(words[1], "--help").stdout
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"│ +\*? *{word} ", shown), word
    after = TEXT.split("$ " + shlex.join(words))[1]
    assert re.match(r"\n(?!\$|```)", after)
