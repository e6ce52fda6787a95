"""`connector ingest`: documents from a source into an index."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.settings import AsJson, ClusterUrl, ConfigFile, IndexName, LogFormat, Overrides, read_settings
from connector.cli.progress import showing
from connector.cli.tables.ingest import print_table, print_troubles, write_report
from connector.errors import SettingsError
from connector.settings.sections import Settings

if TYPE_CHECKING:  # torch and the clients are imported once the flags are known to be right
    from connector.ingest.pipeline import Counts, JobReport

log = logging.getLogger(__name__)


def ingest(
    source: Annotated[
        str,
        typer.Argument(
            help="JSON, CSV, TSV (each also .gz, .bz2, .xz), Parquet, a BEIR folder, a folder of text, Markdown, HTML, "
            "PDF, or - for JSON Lines from a pipe."
        ),
    ],
    cluster: ClusterUrl = None,
    index: IndexName = None,
    config: ConfigFile = None,
    id_field: Annotated[str | None, typer.Option("--id", help="The id field. [CONNECTOR_FIELDS_ID]")] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            metavar="NAME[=BOOST],…",
            help="Text fields in reading order, e.g. title=2,body. [CONNECTOR_FIELDS_TEXT]",
        ),
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(
            "--metadata",
            metavar="NAME=TYPE,…",
            help="Fields to filter by: keyword, keyword[], integer, number, boolean, date; or stored. "
            "[CONNECTOR_FIELDS_METADATA]",
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

    Exit code: 0 all well; 1 some documents failed, and are kept with their reasons; 2 the job could not start; 3 it
    stopped early, or the cluster is away: run it again to go on; 143 (SIGTERM) or 130 (Ctrl-C) it was ended, after
    writing what was encoded: run it again to go on.

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

    bar = stderr.is_terminal and settings.log.format == "text"
    configure_logging(settings.log.model_copy(update={"level": "warning"}) if bar else settings.log)
    started = datetime.now(UTC)
    with showing(bar) as (show, say):
        report, signalled = event_loop.run(_run(source, settings, rejects, delete_missing, show, say))
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
        write_report(report_file, described)
    if as_json:
        print(json.dumps(described, default=str))
    elif settings.log.format == "text":
        print_table(report, settings)
    if settings.log.format == "text":
        print_troubles(report)
    if signalled:
        sys.stdout.flush()
        os._exit(code)  # a thread may still be at work on the encoder, and is not waited for
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

    event_loop = asyncio.get_running_loop()
    stop: asyncio.Future[str] = event_loop.create_future()
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        if received:
            stderr.show_cursor()  # which the bar hides
            os._exit(128 + number)
        received.append(number)
        say(f"{number.name}: writing what is encoded, then ending; once more to end at once")
        stop.set_result(f"{number.name} was received")

    for one in (signal.SIGTERM, signal.SIGINT):
        event_loop.add_signal_handler(one, end, one)
    report = await run_job(
        source, settings, rejects=rejects, delete_missing=delete_missing, stop=stop, on_progress=show, say=say
    )
    return report, received[0] if received and report.stopped else 0


def _exit_code(report: JobReport, signalled: int) -> int:
    """0 all well, 1 some documents failed or were kept, 3 stopped early, 128 + N ended by signal N."""
    if signalled:
        return 128 + signalled
    if report.stopped:
        return 3
    return 0 if report.ok else 1


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
