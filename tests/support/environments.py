"""Environments of Python with other packages than this one has, made by uv in a second or two."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from support.pages import ROOT

# as the tests were started: conftest.py lets them trust nobody, and here a package index is asked
TRUSTED = {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}


def run_uv(*arguments: str | Path) -> None:
    """uv, with the arguments; what it says is shown where it fails."""
    uv = Path(sys.executable).with_name("uv")
    own = {name: value for name, value in os.environ.items() if name not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    _run([uv, *arguments, "--quiet"], own | TRUSTED)


def run_python(python: str | Path, *arguments: str | Path, path: tuple[Path, ...] = (ROOT, ROOT / "tests")) -> str:
    """What a program prints that finds modules in `path` first."""
    return _run([python, *arguments], {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))})


def _run(command: list[str | Path], variables: Mapping[str, str]) -> str:
    done = subprocess.run(list(map(str, command)), env=variables, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout
