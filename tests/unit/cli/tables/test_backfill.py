"""What is said of what a back-fill or an undo left, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.programs.command import flat

from connector.backfill.beside.filling import BesideCounts, BesideReport
from connector.backfill.elsewhere import ElsewhereReport
from connector.backfill.into.copying import IntoCounts, IntoReport
from connector.backfill.into.switch import SwitchReport
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.backfill.undo import UndoReport
from connector.cli.tables.backfill import print_leftovers, print_not_undone
from connector.cli.tables.elsewhere import print_elsewhere, print_left
from connector.settings.sections import Settings

REASONS = {"no such index [shop]": 1_000}


def test_what_a_back_fill_left_is_counted_and_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    counts = BackfillCounts(refused=1_000, contested=2, behind=1)
    notes = ("it waited 3 s",)
    left = BackfillReport("shop", counts, 1.0, Path("r.jsonl"), "the index is blocked", REASONS, notes)

    print_leftovers([left, BackfillReport("kb", BackfillCounts(written=5), 1.0)])

    assert flat(capsys.readouterr().err) == " ".join(
        [
            "shop: it waited 3 s",
            "shop: 1,000 documents were refused; their ids are in r.jsonl",
            "shop: 1,000 times: no such index [shop]",
            "shop: 3 documents are being written by an application; run again",
            "error: shop: the job stopped early: the index is blocked; run it again to go on",
        ]
    )


def test_what_an_undo_left_in_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    stopped = UndoReport("shop", 1, 0, 1_000, 0, 1.0, "SIGTERM was received", REASONS)
    contested, done = UndoReport("kb", 1, 0, 0, 3, 1.0), UndoReport("docs", 1, 0, 0, 0, 1.0, meta_is_out=True)

    print_not_undone([stopped, contested, done])

    assert flat(capsys.readouterr().err) == " ".join(
        [
            "shop: 1,000 times: no such index [shop]",
            "error: shop: stopped early: SIGTERM was received; run it again to go on",
            "kb: some documents keep our fields, and _meta its note; run it again",
        ]
    )


def test_what_came_over_is_a_row_and_what_did_not_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    beside = BesideReport(BesideCounts(read=1_200, written=200, failed=1_000, total=1_200), 2.5, REASONS, "it is gone")
    into = IntoReport(IntoCounts(read=9, copied=9, total=9), 2.5, same=True)
    switched = SwitchReport(blocked_s=0.25, late=4, newer=3)
    for report in (
        ElsewhereReport("beside", "shop", "vectors-of-shop", beside, notes=("it waited 3 s",)),
        ElsewhereReport("into", "shop", "shop-2", into, switched),
        ElsewhereReport("into", "kb", "kb-2", replace(into, same=False)),
    ):
        print_elsewhere(report, Settings())
        print_left(report)

    printed = capsys.readouterr()
    first, second = (
        dict(zip(*([cell.strip() for cell in line.replace("┃", "│").split("│")] for line in lines), strict=True))
        for lines in (printed.out.splitlines()[1:4:2], printed.out.splitlines()[5:8:2])
    )
    assert (first["beside"], first["read"], first["failed"], first["without text"], first["seconds"]) == (
        "vectors-of-shop", "1,200", "1,000", "0", "2.5",
    )  # fmt: skip
    assert (second["into"], second["copied"], second["blocked s"], second["late"]) == ("shop-2", "9", "0.25", "4")
    assert {"total", "blocked s"} & set(first) == set()
    assert flat(printed.err) == " ".join(
        [
            "it waited 3 s",
            "1,000 times: no such index [shop]",
            "error: the job stopped early: it is gone; run it again to go on",
            "3 documents of the last moment were written again meanwhile, and stayed so",
            "kb-2 has not as many documents as kb; run it again to bring what was written since",
        ]
    )
