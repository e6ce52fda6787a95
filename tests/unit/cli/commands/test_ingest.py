"""Which flags of `connector ingest` do not go together, and what is asked first."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.programs.command import TIMEOUT_S, environment, flat
from typer.testing import CliRunner

from connector.cli.app import app
from connector.errors import ConnectorError

DATABASE = ("postgresql://u@127.0.0.1:1/shop", "--table", "products", "--slot", "shop", "--drop-slot")


def refusal(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["ingest", *arguments])
    assert isinstance(done.exception, ConnectorError), done.output
    assert done.stdout == ""
    return str(done.exception)


def test_flags_that_do_not_go_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert "leave out --ray (ray.address), or --follow" in refusal("rows.jsonl", "--follow", "--ray", "local")
    assert "--metrics-port says how far" in refusal("rows.jsonl", "--metrics-port", "0")
    assert "--dry-run makes no report" in refusal("rows.jsonl", "--dry-run", "--report", "r.json")
    assert list(tmp_path.iterdir()) == []


def test_a_slot_is_dropped_of_a_database_that_somebody_agrees_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    for nameless in (("rows.jsonl", "--drop-slot"), (*DATABASE[:3], "--drop-slot")):
        assert refusal(*nameless).startswith("a slot is dropped of a database: connector ingest postgresql://")
    assert "agree with --yes" in refusal(*DATABASE)
    assert "cannot connect to" in refusal(*DATABASE, "--yes")


def test_somebody_at_a_terminal_is_asked(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        [sys.executable, "-m", "connector", "ingest", *DATABASE],
        cwd=tmp_path, env=environment(), stdin=theirs, stderr=theirs, stdout=subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, b"n\n")
    seen = b""
    with suppress(OSError):  # which is how a terminal ends
        while more := os.read(ours, 65_536):
            seen += more
    os.close(ours)
    printed, _ = asked.communicate(timeout=TIMEOUT_S)

    assert (asked.returncode, printed.strip()) == (2, b"")
    text = flat(seen.decode())
    assert f"slot shop of {DATABASE[0]}, and what was not followed yet with it will be dropped Go on? [y/N]" in text
    assert "error: nothing was dropped: slot shop" in text
