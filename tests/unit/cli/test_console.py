"""What is shown is shown as it is."""

from __future__ import annotations

import pytest
from rich.table import Table

from connector.cli.console import results, say, stderr

NAMED = "no such index [shop], [/b] and :fire:"  # as engines say it


def test_brackets_are_no_styles_and_words_no_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(f"why {NAMED}")
    table.add_row(f"since {NAMED}")

    say(NAMED)
    stderr.print(f"note: {NAMED}", style="dim", highlight=False)
    results().print(table)

    printed = capsys.readouterr()
    assert printed.err.splitlines() == [NAMED, f"note: {NAMED}"]
    assert f"why {NAMED}" in printed.out
    assert f"since {NAMED}" in printed.out
