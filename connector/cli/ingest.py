"""`connector ingest`: documents from a source into an index."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from connector.cli.options import AsJson, ClusterUrl, ConfigFile, IndexName, LogFormat, Overrides, read_settings
from connector.config import Settings
from connector.errors import SettingsError

if TYPE_CHECKING:  # torch and the clients are imported once the flags are known to be right
    from connector.ingest.pipeline import Counts, JobReport

talk = Console(stderr=True)
log = logging.getLogger(__name__)
LOG_EVERY_S = 10.0


def ingest(
    source: Annotated[
        str,
        typer.Argument(
            help="JSON Lines, CSV, TSV (each also .gz), Parquet, a BEIR folder, or a folder of text, Markdown, HTML, PDF."
        ),
    ],
    cluster: ClusterUrl = None,
    index: IndexName = None,
    config: ConfigFile = None,
    id_field: Annotated[str | None, typer.Option("--id", help="The id field.")] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="NAME[=BOOST],…", help="Text fields in reading order, e.g. title=2,body."),
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(
            "--metadata",
            metavar="NAME=TYPE,…",
            help="Fields to filter by: keyword, keyword[], integer, number, boolean, date; or stored.",
        ),
    ] = None,
    delete_missing: Annotated[
        bool, typer.Option("--delete-missing", help="Remove documents that the source no longer has.")
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(help="Where documents that fail are kept with their reason. [INDEX-SOURCE.rejects.jsonl]"),
    ] = None,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write a JSON report of the job to this file.")
    ] = None,
    as_json: AsJson = False,
    log_format: LogFormat = None,
    override: Overrides = None,
) -> None:
    """Write documents, as text and vectors, into an index; create it if there is none.

    The same job twice writes nothing new. A job that was killed is simply run again.

    Exit code: 0 all well; 1 some documents failed, and are kept with their reasons; 2 the job could not start; 3 it stopped early,
    run it again to go on; 143 (SIGTERM) or 130 (Ctrl-C) it was ended, after writing what was encoded: run it again to go on.

    Examples:

        connector ingest corpus.jsonl --cluster http://localhost:9200 --index docs

        connector ingest export.csv --id sku --text name=2,description --metadata brand=keyword,price=number

        connector ingest ./handbook --delete-missing
    """
    settings = read_settings(
        config,
        override,
        cluster__url=cluster,
        index__name=index,
        fields__id=id_field,
        fields__text=_pairs(text, "--text", float, optional=True) if text else None,
        log__format=log_format,
        fields__metadata=_pairs(metadata, "--metadata", str, optional=False) if metadata else None,
    )
    from connector.logs import configure_logging

    bar = talk.is_terminal and settings.log.format == "text"
    configure_logging(settings.log.model_copy(update={"level": "warning"}) if bar else settings.log)
    started = datetime.now(UTC)
    with _showing(bar) as (show, say):
        report, signalled = asyncio.run(_run(source, settings, rejects, delete_missing, show, say))
    code = _exit_code(report, signalled)
    described = {
        "source": source,
        "cluster": settings.cluster.url,
        "index": settings.index.name,
        "started": started.isoformat(timespec="seconds"),
        "exit_code": code,
        "unfinished": report.unfinished,
    } | asdict(report)
    log.info("job ended with exit code %d", code, extra=described)
    if report_file:
        _write_report(report_file, described)
    if as_json:
        print(json.dumps(described, default=str))
    elif settings.log.format == "text":
        _print_table(report, settings)
    if settings.log.format == "text":
        _print_troubles(report)
    raise typer.Exit(code)


async def _run(
    source: str,
    settings: Settings,
    rejects: Path | None,
    delete_missing: bool,
    show: Callable[[Counts], None],
    say: Callable[[str], None],
) -> tuple[JobReport, int]:
    """The job's report, and the number of the signal that ended it (0: none). A second signal ends it at once."""
    from connector.ingest.job import run_job

    loop = asyncio.get_running_loop()
    stop: asyncio.Future[str] = loop.create_future()
    received = []

    def end(number: signal.Signals) -> None:
        received.append(number)
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(one)
        say(f"{number.name}: writing what is encoded, then ending; once more to end at once")
        stop.set_result(f"{number.name} was received")

    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, end, one)
    report = await run_job(
        source, settings, rejects=rejects, delete_missing=delete_missing, stop=stop, on_progress=show, say=say
    )
    return report, received[0] if received and report.stopped else 0


@contextmanager
def _showing(bar: bool) -> Iterator[tuple[Callable[[Counts], None], Callable[[str], None]]]:
    """How a running job shows its counts and says things: a bar on a terminal, else a log line now and then."""
    if not bar:
        due = time.monotonic() + LOG_EVERY_S

        def tell(counts: Counts) -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + LOG_EVERY_S
                done = counts.written + counts.unchanged + counts.failed
                log.info("%d documents done, %.0f %% read", done, counts.progress * 100, extra=asdict(counts))

        yield tell, log.info
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=talk,
        transient=True,
    ) as progress:
        task = progress.add_task("loading the encoder", total=None, counts="")

        def show(counts: Counts) -> None:
            elapsed = progress.tasks[0].elapsed or 0.0
            done = counts.written + counts.unchanged + counts.failed
            rate = f"{done / elapsed:,.0f}/s" if elapsed else ""
            progress.update(
                task, description="ingesting", total=1.0, completed=counts.progress, counts=f"{done:,} documents {rate}"
            )

        yield show, lambda message: progress.console.print(message, highlight=False)


def _exit_code(report: JobReport, signalled: int) -> int:
    """0 all well, 1 some documents failed or were kept, 3 stopped early, 128 + N ended by signal N."""
    if signalled:
        return 128 + signalled
    if report.stopped:
        return 3
    return 0 if report.ok else 1


def _write_report(file: Path, described: dict[str, Any]) -> None:
    """The report as a JSON file, whole or not at all."""
    half = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        half.write_text(json.dumps(described, indent=2, default=str) + "\n")
        half.replace(file)
    except OSError as error:
        raise SettingsError(f"cannot write the report to {file} ({error.strerror})") from error


def _print_table(report: JobReport, settings: Settings) -> None:
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
    Console().print(table)


def _print_troubles(report: JobReport) -> None:
    if report.rejects:
        talk.print(f"{report.counts.failed:,} documents failed; they are kept with their reasons in {report.rejects}")
    if report.stopped:
        talk.print(
            f"error: the job stopped early: {report.stopped}; {report.unfinished:,} documents were under way; run it again to go on",
            style="red",
            highlight=False,
        )
    if report.kept_missing:
        talk.print(f"nothing was removed: {report.kept_missing}", style="yellow", highlight=False)


def _pairs(text: str, flag: str, convert: type, *, optional: bool) -> dict[str, object]:
    """`a=2,b` as {"a": 2.0, "b": 1.0}."""
    pairs: dict[str, object] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not name or not (equals or optional):
            raise SettingsError(f"{flag} takes NAME=VALUE pairs split by commas, not {text!r}")
        try:
            pairs[name] = convert(value) if equals else 1.0
        except ValueError:
            raise SettingsError(f"{flag}: {value!r} is no number") from None
    return pairs
