"""How far a download is can be seen on a terminal, and read in a log."""

from __future__ import annotations

import logging
import sys

import pytest

from connector.models.places.progress import showing


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")

    with showing("the model", 80_000_000, begun=20_000_000) as tell:
        tell(40_000_000)

    written = capsys.readouterr()
    assert "the model" in written.err
    assert "40.0/80.0 MB" in written.err
    assert written.out == ""


def test_a_log_has_a_line_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    with showing("the model", 80_000_000, begun=20_000_000) as tell:
        tell(40_000_000)

    assert caplog.messages == ["downloading the model, 80 MB, going on after 20 MB"]


def test_and_one_now_and_then(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.models.places.progress.LOG_EVERY_S", 0.0)
    caplog.set_level(logging.INFO)

    with showing("the model", 80_000_000) as tell:
        tell(40_000_000)

    assert caplog.messages == ["downloading the model, 80 MB", "40 of 80 MB of the model"]
