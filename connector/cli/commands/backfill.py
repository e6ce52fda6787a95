"""`connector backfill`: passages and vectors for an index that an application writes to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from connector import event_loop
from connector.cli.backfilling import RESUMES, JobEnding, ask, signal_of, take_out
from connector.cli.console import stderr
from connector.cli.elsewhere import fill_elsewhere
from connector.cli.ending import stop_on_signal
from connector.cli.flags.backfill import BackfilledIndex, BackfillFlags, read_text_fields
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, ClusterUrl, ConfigFile, LogFormat, Overrides, read_settings
from connector.cli.job import begin_job
from connector.cli.progress import showing
from connector.cli.stopping import say_when_stopped
from connector.cli.tables.backfill import print_backfills, print_leftovers, print_not_undone, print_undone
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.backfill.planning.dry_run import BackfillRehearsal
    from connector.backfill.report import BackfillReport
    from connector.backfill.undo import UndoReport


@with_flag_groups
def backfill(
    flags: BackfillFlags,
    index: BackfilledIndex = None,
    cluster: ClusterUrl = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
    log_format: LogFormat = None,
) -> None:
    """Add passages and vectors to an index that an application made and goes on writing to.

    The command looks at the index first and says what it would change; nothing is written before somebody agrees. Each
    document gets our two fields by an update that fails if an application has written it meanwhile, so that no write
    of theirs is lost. A job that was killed is simply run again. Searches need no setting for such an index.

    Exit code: 0 all well; 1 some documents were refused, or are being written all the time; 2 it could not start, or
    nobody agreed; 3 it stopped early, or the cluster is away: run it again to go on; 143 (SIGTERM) or 130 (Ctrl-C) it
    was ended, after writing what was encoded: run it again to go on.

    Examples:

        connector backfill shop --cluster http://localhost:9200

        connector backfill shop --dry-run

        connector backfill shop --text title^2 --text description --yes

        connector backfill shop --undo

        connector backfill shop --beside

        connector backfill shop --into shop-2 --swap --block-writes
    """
    flags.check()
    settings = read_settings(
        config,
        override,
        cluster__url=cluster,
        index__name=index,
        index__text_fields=read_text_fields(flags.text),
        log__format=log_format,
        ray__address=flags.ray,
    )
    bar = begin_job(settings, flags.report_file, rejects=flags.rejects)
    say_when_stopped("nothing was changed")
    if flags.is_elsewhere:
        fill_elsewhere(settings, flags, bar=bar, as_json=as_json)
    if flags.dry_run:
        _show(event_loop.run(_rehearse(settings, flags, bar)), as_json=as_json)
        return
    ending = JobEnding(settings, flags.report_file, as_json, datetime.now(UTC))
    if flags.undo:
        undone, signalled = event_loop.run(_undo(settings, flags, bar))
        ending.end(undone, signalled, print_undone, print_not_undone)
    reports, signalled = event_loop.run(_fill(settings, flags, bar))
    ending.end(reports, signalled, print_backfills, print_leftovers)


async def _rehearse(settings: Settings, flags: BackfillFlags, bar: bool) -> list[BackfillRehearsal]:
    from connector.backfill.run import preparing, rehearse

    with stderr.status("looking at the index, encoding a sample") if bar else nullcontext():
        async with preparing(settings, flags.wish(settings.index.text_fields)) as prepared:
            return await rehearse(prepared)


def _show(rehearsals: Sequence[BackfillRehearsal], *, as_json: bool) -> None:
    from connector.cli.tables.backfill_estimate import print_rehearsal

    if as_json:
        print(json.dumps([found.describe() for found in rehearsals]))
        return
    for found in rehearsals:
        print_rehearsal(found)


async def _fill(settings: Settings, flags: BackfillFlags, bar: bool) -> tuple[list[BackfillReport], int]:
    from connector.backfill.run import fill, preparing

    async with AsyncExitStack() as kept:
        with stderr.status("looking at the index, loading the encoder") if bar else nullcontext():
            prepared = await kept.enter_async_context(preparing(settings, flags.wish(settings.index.text_fields)))
        ask(prepared.changes, yes=flags.yes)
        say_when_stopped(RESUMES)
        with showing(bar, "back-filling") as (show, say):
            stop, received = stop_on_signal(say)
            reports = await fill(prepared, rejects=flags.rejects, bounds=flags.bounds, stop=stop, on_progress=show)
    return reports, signal_of(reports, received)


async def _undo(settings: Settings, flags: BackfillFlags, bar: bool) -> tuple[list[UndoReport], int]:
    from connector.backfill.run import preparing_undo

    async with preparing_undo(settings, flags.field) as (cluster, plans):
        return await take_out(cluster, plans, settings, yes=flags.yes, bar=bar)
