"""Reports of a back-fill: as a table, and what to do about what was left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from connector.cli.console import results, say
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.backfill.report import BackfillReport
    from connector.backfill.undo import UndoReport

COLUMNS = (
    "found",
    "written",
    "unchanged",
    "without_text",
    "gone",
    "refused",
    "contested",
    "again",
    "behind",
    "passages",
    "retried",
)


def print_backfills(reports: Sequence[BackfillReport], settings: Settings) -> None:
    """A row for each index."""
    table = Table(title=f"back-filled at {settings.cluster.url}", title_justify="left", show_edge=False)
    table.add_column("index")
    for column in (*COLUMNS, "seconds"):
        table.add_column(column.replace("_", " "), justify="right")
    for report in reports:
        figures = (f"{getattr(report.counts, column):,}" for column in COLUMNS)
        table.add_row(report.index, *figures, f"{report.seconds:.1f}")
    results().print(table)


def print_leftovers(reports: Sequence[BackfillReport]) -> None:
    """What was not done, and why."""
    for report in reports:
        counts = report.counts
        for note in report.notes:
            say(f"{report.index}: {note}")
        if counts.refused:
            say(f"{report.index}: {counts.refused:,} documents were refused; their ids are in {report.rejects}")
        for reason, times in report.reasons.items():
            say(f"{report.index}: {times:,} times: {reason}")
        if being_written := counts.contested + counts.behind:
            say(f"{report.index}: {being_written:,} documents are being written by an application; run again")
        if report.stopped:
            say(f"error: {report.index}: the job stopped early: {report.stopped}; run it again to go on", "red")


def print_undone(reports: Sequence[UndoReport], settings: Settings) -> None:
    """A row for each index that our fields were taken out of."""
    table = Table(title=f"taken out at {settings.cluster.url}", title_justify="left", show_edge=False)
    table.add_column("index")
    for column in ("written anew", "nulled", "refused", "contested", "seconds"):
        table.add_column(column, justify="right")
    for report in reports:
        figures = (report.anew, report.nulled, report.refused, report.contested)
        table.add_row(report.index, *(f"{figure:,}" for figure in figures), f"{report.seconds:.1f}")
    results().print(table)


def print_not_undone(reports: Sequence[UndoReport]) -> None:
    """What was left in, and why; and what stays in any case."""
    for report in reports:
        for reason, times in report.reasons.items():
            say(f"{report.index}: {times:,} times: {reason}")
        if report.stopped:
            say(f"error: {report.index}: stopped early: {report.stopped}; run it again to go on", "red")
        elif not report.ok:
            say(f"{report.index}: some documents keep our fields, and _meta its note; run it again")
