"""`connector ingest`: documents from a source into an index."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.ending import stop_on_signal
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.ingest import (
    DeleteMissing,
    DryRunFlag,
    FollowSourceFlags,
    IdColumn,
    MetadataColumns,
    PostgresFlags,
    RayAddress,
    Rejects,
    ReportFile,
    SourceArgument,
    TextColumns,
    field_settings,
)
from connector.cli.flags.settings import AsJson, ClusterUrl, ConfigFile, IndexName, LogFormat, Overrides, read_settings
from connector.cli.flags.vectors import VectorIndexName
from connector.cli.following import also_measured, also_reporting, following, serving_metrics
from connector.cli.job import begin_job, end_job
from connector.cli.progress import showing
from connector.cli.tables.ingest import (
    describe_dry_run,
    plan_lines,
    print_dry_run,
    print_table,
    print_troubles,
)
from connector.errors import SettingsError
from connector.settings.sections import Settings

if TYPE_CHECKING:  # torch and the clients are imported once the flags are known to be right
    from connector.ingest.plan import Plan
    from connector.ingest.report import JobReport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """What the job is told beside its settings."""

    source: str
    rejects: Path | None
    report_file: Path | None
    delete_missing: bool
    follow: bool
    metrics_port: int | None
    yes: bool
    as_json: bool


@with_flag_groups
def ingest(
    source: SourceArgument,
    postgres: PostgresFlags,
    going_on: FollowSourceFlags,
    cluster: ClusterUrl = None,
    index: IndexName = None,
    config: ConfigFile = None,
    id_field: IdColumn = None,
    text: TextColumns = None,
    metadata: MetadataColumns = None,
    vector_index: VectorIndexName = None,
    delete_missing: DeleteMissing = False,
    dry_run: DryRunFlag = False,
    ray: RayAddress = None,
    rejects: Rejects = None,
    report_file: ReportFile = None,
    as_json: AsJson = False,
    log_format: LogFormat = None,
    override: Overrides = None,
) -> None:
    """Write documents, as text and vectors, into an index; create it if there is none.

    The same job twice writes nothing new. A job that was killed is simply run again.

    Exit code: 0 all well; 1 some documents failed, and are kept with their reasons; 2 the job could not start; 3 it
    stopped early, or the cluster is away: run it again to go on (where the source broke off, mend it first); 143
    (SIGTERM) or 130 (Ctrl-C) it was ended, after writing what was encoded: run it again to go on.

    Examples:

        connector ingest corpus.jsonl --cluster http://localhost:9200 --index docs

        connector ingest export.csv --dry-run

        connector ingest export.csv --id sku --text name=2,description --metadata brand=keyword,price=number

        connector ingest ./handbook --follow --delete-missing

        connector ingest postgresql://reader@localhost/shop --table products --follow --updated-at changed_at

        connector ingest corpus.jsonl --ray local --cluster http://localhost:9200
    """
    settings = read_settings(
        config,
        override,
        cluster__url=cluster,
        index__name=index,
        index__vectors__index=vector_index,
        log__format=log_format,
        ray__address=ray,
        **field_settings(id_field, text, metadata),
        **postgres.settings(),
    )
    follow, port = going_on.follow, going_on.metrics_port
    options = IngestOptions(source, rejects, report_file, delete_missing, follow, port, postgres.yes, as_json)
    if postgres.drop_slot:
        _drop_slot(settings, options)
    if dry_run:
        _rehearse(settings, options)
    _ingest(settings, options)


def _drop_slot(settings: Settings, options: IngestOptions) -> NoReturn:
    """Drop what a database was followed by, and end. Raises SettingsError where nobody agrees, and SourceError."""
    from connector.ingest.following.opening import drop_followed, followed_slot

    slot = followed_slot(options.source, settings)
    description = f"slot {slot} of {options.source}, and what was not followed yet with it"
    if not _agrees([description], "will be dropped", options):
        raise SettingsError(f"nothing was dropped: {description}; agree with --yes")
    dropped = drop_followed(options.source, settings)
    print(
        json.dumps({"dropped": dropped}) if options.as_json else f"dropped: {', '.join(dropped) or 'nothing is there'}"
    )
    raise typer.Exit


def _agrees(lines: list[str], verb: str, options: IngestOptions) -> bool:
    """Whether the user agrees; nobody is asked who said so before, or where there is no terminal to ask at."""
    if options.yes or not (sys.stdin.isatty() and stderr.is_terminal):
        return options.yes
    for part in lines:
        stderr.print(f"{part} {verb}", highlight=False)
    return typer.confirm("Go on?", err=True)


def _rehearse(settings: Settings, options: IngestOptions) -> NoReturn:
    """Say what the job would do, and end: with 0 where no row would fail, else with 1. Raises SettingsError."""
    if options.report_file:
        raise SettingsError("--dry-run makes no report; --json prints what it found")
    from connector.ingest.dry_run import rehearse

    found = event_loop.run(rehearse(options.source, settings))
    if options.as_json:
        print(json.dumps(describe_dry_run(found, settings), indent=2))
    else:
        print_dry_run(found, settings)
    raise typer.Exit(0 if found.ok else 1)


def _ingest(settings: Settings, options: IngestOptions) -> NoReturn:
    if options.follow and settings.ray.address:
        raise SettingsError("a source is followed by this process alone; leave out --ray (ray.address), or --follow")
    if options.metrics_port is not None and not options.follow:
        raise SettingsError("--metrics-port says how far a source that is followed is behind; add --follow")
    from connector.ingest.rejects import source_file

    bar = begin_job(settings, options.report_file, rejects=options.rejects, source=source_file(options.source))
    started = datetime.now(UTC)
    describe = partial(_describe, settings=settings, options=options, started=started)
    display: Any = following(bar) if options.follow else showing(bar)
    with ExitStack() as kept:
        show, say = kept.enter_context(display)
        if options.metrics_port is not None:
            show = also_measured(show, kept.enter_context(serving_metrics(options.metrics_port)), settings.index.name)
        if options.follow and options.report_file:
            show = also_reporting(show, options.report_file, settings.follow.report_s, describe)
        report, signalled = event_loop.run(_run(settings, options, show, say))
    code = _exit_code(report, signalled)
    described = describe(report, code=code)
    log.info("job ended with exit code %d", code, extra=described)
    end_job(
        described,
        settings,
        report_file=options.report_file,
        as_json=options.as_json,
        show=lambda: print_table(report, settings),
        show_left=lambda: print_troubles(report, is_followed=options.follow),
        at_once=bool(signalled),
    )


def _describe(
    report: JobReport, *, settings: Settings, options: IngestOptions, started: datetime, code: int | None = None
) -> dict[str, Any]:
    """The report as JSON has it; without an exit code while a source is followed."""
    return {
        "source": options.source,
        "cluster": settings.cluster.url,
        "index": settings.index.name,
        "started": started.isoformat(timespec="seconds"),
        "exit_code": code,
        "unfinished": report.unfinished,
    } | asdict(report)


async def _run(
    settings: Settings, options: IngestOptions, show: Callable[[Any], None], say: Callable[[str], None]
) -> tuple[JobReport, int]:
    """The job's report, and the number of the signal that ended it (0: none). A second signal ends it at once."""
    from connector.ingest.following.job import follow_source
    from connector.ingest.job import run_job

    stop, received = stop_on_signal(say)

    def show_plan(plan: Plan) -> None:
        for line in plan_lines(plan):
            say(line)

    def agree(made: list[str]) -> bool:
        return _agrees(made, "will be made", options)

    run = partial(
        partial(follow_source, on_state=show, agree=agree) if options.follow else partial(run_job, on_progress=show),
        options.source,
        settings,
        rejects=options.rejects,
        delete_missing=options.delete_missing,
        stop=stop,
        on_plan=show_plan,
        say=say,
    )
    report: JobReport = await run()
    return report, received[0] if received and report.stopped else 0


def _exit_code(report: JobReport, signalled: int) -> int:
    """0 all well, 1 some documents failed or were kept, 3 stopped early, 128 + N ended by signal N."""
    if signalled:
        return 128 + signalled
    if report.stopped:
        return 3
    return 0 if report.ok else 1
