"""Runs the commands of docs/tutorial.md and puts their real output there: make tutorial.

A block that begins with ``# NAME.py`` is a file of the reader's. A block with lines that begin with
``$`` is run in the reader's folder, build/tutorial; what a command prints replaces what follows it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PAGE = Path("docs/tutorial.md")
FOLDER = Path("build/tutorial")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
PROMPT = "$ "


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    PAGE.write_text(BLOCK.sub(run, PAGE.read_text()))
    return 0


def run(block: re.Match) -> str:
    """The block with the output of its commands. Writes the file that it holds, if it holds one."""
    language, content = block.groups()
    if name := re.match(r"# (\w+\.py)\n", content):
        (FOLDER / name[1]).write_text(content)
    if not content.startswith(PROMPT):
        return block[0]
    commands = [line for line in content.splitlines() if line.startswith(PROMPT)]
    lines = [line for command in commands for line in (command, *output(command))]
    return "\n".join([f"```{language}", *lines, "```", ""])


def output(command: str) -> list[str]:
    """The lines that a command prints; of an epoch's, only the last."""
    print(command, flush=True)
    bin_ = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}", "COLUMNS": "90"}
    done = subprocess.run(
        command.removeprefix(PROMPT), shell=True, cwd=FOLDER, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True,
    )  # fmt: skip
    lines = done.stdout.rstrip().splitlines()
    epochs = [line for line in lines if line.startswith("epoch ")]
    return [line for line in lines if line not in epochs[:-1]]


if __name__ == "__main__":
    sys.exit(main())
