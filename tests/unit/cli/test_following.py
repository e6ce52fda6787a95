"""What is followed, on a terminal and in a log."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
from rich.console import Console

from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.report import BackfillCounts
from connector.cli import following as module
from connector.cli.following import also_reporting, following, index_lines
from connector.ingest.following.account import FollowReport
from connector.ingest.following.source import SourceLag
from connector.ingest.report import Counts

REPORT = FollowReport(Counts(written=1_200, removed=3, failed=1), 1.0, lag=SourceLag(2.5, 7, "messages"))
WORDS = "1,200 written, 0 unchanged, 3 removed, 1 failed; 2.5 s behind (7 messages)"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal is sent."""
    sent = io.StringIO()
    monkeypatch.setattr(module, "stderr", Console(file=sent, force_terminal=True, width=160, markup=False))
    return sent


def test_a_terminal_has_a_line_that_changes(terminal: io.StringIO) -> None:
    with following(True) as (show, say):
        say("[shop] is new")
        show(REPORT)

    assert "[shop] is new" in terminal.getvalue()
    [*_, last] = (line for line in terminal.getvalue().splitlines() if "following" in line)
    assert WORDS in last


def test_a_log_has_a_line_where_there_is_anything_new(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "LOG_EVERY_S", 0.0)
    with following(False) as (show, _):
        show(REPORT)
        show(REPORT)

    [record] = caplog.records
    assert record.message == WORDS
    assert (vars(record)["waiting"], vars(record)["written"]) == (7, 1_200)


def test_a_terminal_has_a_line_for_each_index(terminal: io.StringIO) -> None:
    with index_lines(True) as lines:
        lines.say("[shop] is looked at")
        lines.tell_counts("shop", BackfillCounts(written=5, again=1, unchanged=4))
        lines.tell_behind("shop", PassageLag(12))
        lines.tell_behind("kb", PassageLag())
        lines.tell_behind("gone", PassageLag(trouble="no such index [gone]"))

    assert "[shop] is looked at" in terminal.getvalue()
    [*_, shop, other, gone] = (line for line in terminal.getvalue().splitlines() if "following" in line)
    assert "following shop" in shop
    assert "6 written, 4 unchanged; 12 operations behind" in shop
    assert "following kb" in other
    assert "caught up" in other
    assert "in trouble: no such index [gone]" in gone
    assert "caught up" not in gone


def test_a_report_that_cannot_be_written_for_once_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, reports = tmp_path / "reports" / "r.json", []
    show = also_reporting(reports.append, file, 0.0, lambda report: {"written": report.counts.written})
    show(REPORT)
    file.parent.mkdir()
    show(REPORT)

    assert reports == [REPORT, REPORT]
    assert [record.message for record in caplog.records] == [
        f"cannot write the report to {file} (No such file or directory); name another file: --report"
    ]
    assert json.loads(file.read_text()) == {"written": 1_200}
