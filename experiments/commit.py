"""The commit that a measurement belongs to."""

import subprocess
from pathlib import Path

# What a figure depends on: changes elsewhere do not mark the commit.
CODE = (
    "golden",
    "sim",
    "egru_hw",
    "egru_cli",
    "pyproject.toml",
    "constraints.txt",
    "CMakeLists.txt",
)


def commit() -> str:
    """The running code's commit, marked if modified; "unknown" outside a repository."""
    root = Path(__file__).parents[1]

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", *CODE)
        return git("rev-parse", "--short=10", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
