"""`connector ingest`: documents from a source into an index."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

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

from connector.cli.options import AsJson, ClusterUrl, ConfigFile, IndexName, Overrides, read_settings
from connector.errors import SettingsError

talk = Console(stderr=True)


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
    as_json: AsJson = False,
    override: Overrides = None,
) -> None:
    """Write documents, as text and vectors, into an index; create it if there is none.

    The same job twice writes nothing new. A job that was killed is simply run again. Exit code: 0 all well, 1 some documents
    failed or the job stopped early (see the summary), 2 the job could not start.

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
        fields__metadata=_pairs(metadata, "--metadata", str, optional=False) if metadata else None,
    )
    from connector.ingest.job import run_job
    from connector.ingest.pipeline import Counts

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

        def say(message: str) -> None:
            progress.console.print(message, highlight=False)

        report = asyncio.run(
            run_job(source, settings, rejects=rejects, delete_missing=delete_missing, on_progress=show, say=say)
        )
    if as_json:
        print(json.dumps(asdict(report), default=str))
    else:
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
    raise typer.Exit(0 if report.ok else 1)


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
