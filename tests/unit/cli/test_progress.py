"""A running job on a terminal, and in a log or a file."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from connector.backfill.report import BackfillCounts
from connector.cli import progress
from connector.cli.progress import counting, reporter_on_terminal, share_on_terminal, showing
from connector.ingest.report import Counts


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal is sent."""
    sent = io.StringIO()
    monkeypatch.setattr(progress, "stderr", Console(file=sent, force_terminal=True, width=160, markup=False))
    return sent


@pytest.fixture
def _file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stderr as a command finds it that begins. Rich's oldest versions remember a FORCE_COLOR of another test."""
    monkeypatch.setattr(progress, "stderr", Console(stderr=True, markup=False, emoji=False))


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said now and then is said each time."""
    monkeypatch.setattr(progress, "SAY_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "LOG_EVERY_S", 0.0)


def test_a_bar_has_the_share_and_the_count_and_leaves_room_for_what_is_said(terminal: io.StringIO) -> None:
    with showing(True, "back-filling") as (show, say):
        say("index [shop] is gone on with")
        show(BackfillCounts(expected=4_000, found=1_000, written=1_000))

    assert "loading the encoder" in terminal.getvalue()
    assert "index [shop] is gone on with" in terminal.getvalue()
    [*_, last] = (line for line in terminal.getvalue().splitlines() if "back-filling" in line)
    assert "25%" in last
    assert "1,000 documents" in last


@pytest.mark.usefixtures("_at_once")
def test_a_log_has_a_line_with_the_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with showing(False) as (show, say):
        say("begun")
        show(Counts(read=3, written=2, failed=1, progress=0.5))

    assert [record.message for record in caplog.records] == ["begun", "3 documents done, 50 % read"]
    assert vars(caplog.records[1])["failed"] == 1


@pytest.mark.usefixtures("_at_once", "_file")
def test_a_file_has_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("judging", 8) as show:
        show(2)
    with share_on_terminal("reading", "documents") as show_share:
        show_share(0.25, 1_000)
    with reporter_on_terminal() as reporter:
        reporter.begin("lexical", 3)
        reporter.done()
        reporter.done()

    counted, *others = capsys.readouterr().err.splitlines()
    assert counted.startswith("judging: 2 of 8 done, ")
    assert counted.endswith(" s left")
    assert others == ["reading: 1,000 documents, 25%", "lexical: 1 of 3 done", "lexical: 2 of 3 done"]


@pytest.mark.usefixtures("_file")
def test_a_file_has_no_line_before_it_is_time(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("judging", 8) as show, share_on_terminal("reading", "documents") as show_share:
        show(8)
        show_share(1.0, 8)
    with reporter_on_terminal() as reporter:
        reporter.begin("lexical", 1)
        reporter.done()

    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar_for_what_is_counted(terminal: io.StringIO) -> None:
    with counting("judging", 8) as show:
        show(2)
    with share_on_terminal("reading", "documents") as show_share:
        show_share(0.25, 1_000)

    assert "2/8" in terminal.getvalue()
    assert "25%" in terminal.getvalue()
    assert "1,000 documents" in terminal.getvalue()
