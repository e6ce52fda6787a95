"""A job's report: as a table, and what to do about what went wrong."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from connector.cli.console import results, stderr
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.ingest.dry_run import DryRun
    from connector.ingest.plan import Plan
    from connector.ingest.report import JobReport


def print_table(report: JobReport, settings: Settings) -> None:
    counts = report.counts
    table = Table(title=f"{settings.index.name} at {settings.cluster.url}", title_justify="left", show_edge=False)
    for column in ("documents", "written", "unchanged", "failed", "removed", "passages", "tries again", "seconds"):
        table.add_column(column, justify="right")
    numbers = (
        counts.read,
        counts.written,
        counts.unchanged,
        counts.failed,
        counts.removed,
        counts.passages,
        counts.retried,
    )
    table.add_row(*(f"{number:,}" for number in numbers), f"{report.seconds:.1f}")
    results().print(table)


def print_troubles(report: JobReport, *, is_followed: bool = False) -> None:
    for column, name in report.renamed.items():
        stderr.print(
            f"column {column!r} is called {name!r}, since no field can be called so", style="yellow", highlight=False
        )
    for column, rows in report.unused.items():
        stderr.print(
            f"column {column!r} was not used, though {rows:,} documents have a value in it: "
            "the index has no such field",
            style="yellow",
            highlight=False,
        )
    for note, times in report.notes.items():
        stderr.print(note + (f" ({times:,} times)" if times > 1 else ""), style="yellow", highlight=False)
    if report.rejects:
        stderr.print(f"{report.counts.failed:,} documents failed; they are kept with their reasons in {report.rejects}")
    if is_followed:
        print_end_of_following(report)
    elif report.stopped:
        stderr.print(f"error: the job stopped early: {report.stopped}{_rest(report)}", style="red", highlight=False)
    if report.kept_missing:
        stderr.print(f"nothing was removed: {report.kept_missing}", style="yellow", highlight=False)


def _rest(report: JobReport) -> str:
    """What a job that stopped had begun, and whether another run would go on; it would not where the source breaks
    off."""
    begun = f"; {report.unfinished:,} documents were under way" if report.unfinished else ""
    return begun if report.source_broke_off else f"{begun}; run it again to go on"


def print_end_of_following(report: JobReport) -> None:
    """Why it ended, and that what was not written comes again."""
    begun = f"; {report.unfinished:,} documents were under way" if report.unfinished else ""
    stderr.print(
        f"no longer followed: {report.stopped or 'the source has ended'}{begun}; run it again to go on", highlight=False
    )


def plan_lines(plan: Plan) -> list[str]:
    """What becomes of each column, a line each."""
    return [
        f"{column.column}: {' '.join(filter(None, (column.use, column.type)))} ({column.why}; {column.rows:,} rows)"
        for column in plan.columns
    ]


def describe_dry_run(found: DryRun, settings: Settings) -> dict[str, Any]:
    """A dry run as JSON has it."""
    return {"cluster": settings.cluster.url, "index": settings.index.name, "ok": found.ok} | asdict(found)


def print_dry_run(found: DryRun, settings: Settings) -> None:
    """The columns as a table, then the rows that would fail."""
    state = "is there and keeps its fields" if found.exists else "would be made with these fields"
    table = Table(
        title=f"{settings.index.name} at {settings.cluster.url} {state}", title_justify="left", show_edge=False
    )
    for heading in ("column", "use", "type", "field", "how that was found out", "samples"):
        table.add_column(heading, overflow="fold")
    table.add_column("rows", justify="right")
    for column in found.plan.columns:
        cells = (column.column, column.use, column.type, column.field, column.why, " | ".join(column.samples))
        table.add_row(*(Text(cell or "-") for cell in cells), f"{column.rows:,}")
    out = results()
    out.print(table)
    out.print(
        f"{found.rows:,} rows, of which {found.failed:,} would fail; nothing was written or created", highlight=False
    )
    for failure in found.failures:
        out.print(Text(f"{failure.origin}: {failure.reason}"))
    if found.failed > len(found.failures):
        out.print(f"and {found.failed - len(found.failures):,} more")
    for note, times in found.notes.items():
        out.print(Text(note + (f" ({times:,} times)" if times > 1 else "")))
    if found.broken:
        out.print(Text(f"the source breaks off: {found.broken}"))
