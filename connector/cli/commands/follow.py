"""`connector follow`: the passages of an index that was back-filled, kept right while applications write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn, TypeVar

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.ending import stop_on_signal
from connector.cli.flags.follow import FollowedIndex, FollowFlags
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, ClusterUrl, ConfigFile, LogFormat, Overrides, read_settings
from connector.cli.following import index_lines, serving_metrics
from connector.cli.job import begin_job, end_job
from connector.cli.stopping import say_when_stopped
from connector.cli.tables.backfill import print_backfills, print_leftovers
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.backfill.keeping_up.metrics import FollowMetrics
    from connector.backfill.report import BackfillReport

T = TypeVar("T")
log = logging.getLogger(__name__)
SILENT_S = 30.0  # and two pauses between looks: then a look hangs


@with_flag_groups
def follow(
    flags: FollowFlags,
    index: FollowedIndex = None,
    cluster: ClusterUrl = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
    log_format: LogFormat = None,
) -> None:
    """Keep the passages and vectors of a back-filled index right while applications go on writing to it.

    What was written since the last look is read shard by shard, and documents whose text has changed, or that were
    replaced, get new passages within seconds. No application ever has to wait, and nothing that it wrote is undone. The
    command goes on until it is told to end; the next run goes on from there. To follow a source (a folder, a table, a
    topic), use: connector ingest SOURCE --follow.

    It also follows what is added meanwhile: the vectors of a second encoder (connector migrate), and back-filled
    indices that a rollover adds behind an alias. An index with its vectors beside it (connector backfill --beside) is
    followed in the same way, and only read.

    Exit code: 143 (SIGTERM) or 130 (Ctrl-C) it was ended, which is the usual way; 0 the vectors were taken out, so that
    there is nothing to follow any more; 2 it could not start, because the index was never back-filled, is followed
    already, or the like; 3 an index was deleted or rebuilt meanwhile, or no longer allows what is needed.

    Examples:

        connector follow shop --cluster http://localhost:9200

        connector follow shop --every 10 --metrics-port 9109
    """
    settings = read_settings(
        config,
        override,
        cluster__url=cluster,
        index__name=index,
        log__format=log_format,
        follow__every_s=flags.every_s,
    )
    bar = begin_job(settings, flags.report_file, rejects=flags.rejects)
    say_when_stopped("nothing was changed")
    started = datetime.now(UTC)
    reports, signalled = event_loop.run(_follow(settings, flags, bar))
    _end(reports, signalled, settings=settings, flags=flags, as_json=as_json, started=started)


async def _follow(settings: Settings, flags: FollowFlags, bar: bool) -> tuple[list[BackfillReport], int]:
    from connector.backfill.keeping_up import run

    async with AsyncExitStack() as kept:
        metrics = None if flags.metrics_port is None else _serve_metrics(kept, flags.metrics_port, settings)
        with stderr.status("looking at the index, loading the encoder") if bar else nullcontext():
            followed = await kept.enter_async_context(run.opening_followed(settings))
        lines = kept.enter_context(index_lines(bar))
        stop, received = stop_on_signal(lines.say)
        reports = await run.follow(
            followed,
            states=flags.state,
            rejects=flags.rejects,
            stop=stop,
            listeners=run.FollowListeners(
                on_progress=_both(lines.tell_counts, metrics.tell_counts if metrics else None),
                on_behind=_both(lines.tell_behind, metrics.tell_behind if metrics else None),
                on_end=metrics.forget if metrics else lambda name: None,
            ),
        )
    return reports, received[0] if received else 0


def _serve_metrics(kept: AsyncExitStack, port: int, settings: Settings) -> FollowMetrics:
    return kept.enter_context(serving_metrics(port, silent_s=SILENT_S + 2 * settings.follow.every_s))


def _both(first: Callable[[str, T], None], second: Callable[[str, T], None] | None) -> Callable[[str, T], None]:
    def tell(index: str, value: T) -> None:
        first(index, value)
        if second:
            second(index, value)

    return tell


def _end(
    reports: Sequence[BackfillReport],
    signalled: int,
    *,
    settings: Settings,
    flags: FollowFlags,
    as_json: bool,
    started: datetime,
) -> NoReturn:
    """Show what was done, and end with the code that says how it went."""
    code = 128 + signalled if signalled else 3 if any(report.stopped for report in reports) else 0
    described = {
        "cluster": settings.cluster.url,
        "index": settings.index.name,
        "started": started.isoformat(timespec="seconds"),
        "exit_code": code,
        "indices": [asdict(report) for report in reports],
    }
    log.info("following ended with exit code %d", code, extra=described)
    end_job(
        described,
        settings,
        report_file=flags.report_file,
        as_json=as_json,
        show=lambda: print_backfills(reports, settings),
        show_left=lambda: print_leftovers(reports),
        at_once=True,
    )
