"""The report of a back-fill beside an index, or into a new one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from connector.cli.console import results, say
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.backfill.elsewhere import ElsewhereReport


def print_elsewhere(report: ElsewhereReport, settings: Settings) -> None:
    """What was done, in one row."""
    table = Table(title=f"{report.index} at {settings.cluster.url}", title_justify="left", show_edge=False)
    counts = {name: f"{count:,}" for name, count in asdict(report.filled.counts).items() if name != "total"}
    counts |= {"seconds": f"{report.filled.took_s:.1f}"}
    if report.switched:
        counts |= {"blocked s": f"{report.switched.blocked_s:.2f}", "late": f"{report.switched.late:,}"}
    table.add_column(report.way)
    for name in counts:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_row(report.other, *counts.values())
    results().print(table)


def print_left(report: ElsewhereReport) -> None:
    """What was not done, and what is to be known."""
    from connector.backfill.into.copying import IntoReport

    for note in report.notes:
        say(note)
    for reason, times in report.filled.reasons.items():
        say(f"{times:,} times: {reason}")
    if isinstance(report.filled, IntoReport) and report.ok and not (report.filled.same or report.switched):
        say(f"{report.other} has not as many documents as {report.index}; run it again to bring what was written since")
    if report.switched and report.switched.newer:
        say(f"{report.switched.newer:,} documents of the last moment were written again meanwhile, and stayed so")
    if report.filled.stopped:
        say(f"error: the job stopped early: {report.filled.stopped}; run it again to go on", "red")
