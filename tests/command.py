"""`python -m connector` as a user runs it: a process of its own, without settings from around it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CONNECTOR = (sys.executable, "-m", "connector")


def environment() -> dict[str, str]:
    """The environment without settings of the connector, and wide enough that tables are not folded."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")}
    return kept | {"COLUMNS": "200"}


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [*CONNECTOR, *arguments], cwd=cwd, env=environment() | variables, capture_output=True, text=True, timeout=240
    )
