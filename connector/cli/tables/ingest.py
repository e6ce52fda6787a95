"""A job's report: as a file, as a table, and what to do about what went wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from connector.cli.console import results, stderr
from connector.errors import SettingsError
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.ingest.pipeline import JobReport


def write_report(file: Path, described: dict[str, Any]) -> None:
    """The report as a JSON file, whole or not at all."""
    half = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        half.write_text(json.dumps(described, indent=2, default=str) + "\n")
        half.replace(file)
    except OSError as error:
        raise SettingsError(f"cannot write the report to {file} ({error.strerror})") from error


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


def print_troubles(report: JobReport) -> None:
    if report.rejects:
        stderr.print(f"{report.counts.failed:,} documents failed; they are kept with their reasons in {report.rejects}")
    if report.stopped:
        stderr.print(
            f"error: the job stopped early: {report.stopped}; {report.unfinished:,} documents were under way; "
            "run it again to go on",
            style="red",
            highlight=False,
        )
    if report.kept_missing:
        stderr.print(f"nothing was removed: {report.kept_missing}", style="yellow", highlight=False)
