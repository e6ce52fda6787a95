"""`connector migrate`: another encoder for an index that was back-filled, without downtime."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from connector import event_loop
from connector.cli.backfilling import RESUMES, JobEnding, ask, signal_of, take_out
from connector.cli.console import results, stderr
from connector.cli.ending import stop_on_signal
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.migrate import MigratedIndex, MigrateFlags, NewEncoder
from connector.cli.flags.settings import AsJson, ClusterUrl, ConfigFile, LogFormat, Overrides, read_settings
from connector.cli.job import begin_job
from connector.cli.progress import showing
from connector.cli.stopping import say_when_stopped
from connector.cli.tables.backfill import print_backfills, print_leftovers, print_not_undone, print_undone
from connector.errors import SettingsError
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.backfill.migrating import IndexBackfills
    from connector.backfill.report import BackfillReport
    from connector.backfill.undo import UndoReport


@with_flag_groups
def migrate(
    flags: MigrateFlags,
    index: MigratedIndex = None,
    encoder: NewEncoder = None,
    cluster: ClusterUrl = None,
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
    log_format: LogFormat = None,
) -> None:
    """Change the encoder of an index that was back-filled, while searches go on.

    Three steps, each of which says what it changes and asks. The first fills vectors of the new encoder beside the old
    ones. Then `--switch` lets searches use them, by one write of the mapping's `_meta`; the same again takes that back.
    `--clean` takes out those that searches no longer use. In between, searches with either encoder find that encoder's
    vectors.

    Exit code: as for connector backfill.

    Examples:

        connector migrate shop --encoder BAAI/bge-small-en-v1.5

        connector migrate shop --switch

        connector migrate shop --clean
    """
    settings = read_settings(
        config,
        override,
        cluster__url=cluster,
        index__name=index,
        encoder__model=encoder,
        log__format=log_format,
    )
    if flags.switch and flags.clean:
        raise SettingsError("--switch and --clean are two steps: switch, look at the searches, and clean later")
    bar = begin_job(settings, flags.report_file, rejects=flags.rejects)
    say_when_stopped("nothing was changed")
    ending = JobEnding(settings, flags.report_file, as_json, datetime.now(UTC))
    if flags.switch:
        _show(event_loop.run(_switch(settings, flags)), as_json=as_json)
        return
    if flags.clean:
        undone, signalled = event_loop.run(_clean(settings, flags, bar))
        ending.end(undone, signalled, print_undone, print_not_undone)
    reports, signalled = event_loop.run(_fill(settings, flags, bar))
    ending.end(reports, signalled, print_backfills, print_leftovers)


async def _fill(settings: Settings, flags: MigrateFlags, bar: bool) -> tuple[list[BackfillReport], int]:
    from connector.backfill.migrating import preparing_migration
    from connector.backfill.run import fill

    async with AsyncExitStack() as kept:
        with stderr.status("looking at the index, loading the encoder") if bar else nullcontext():
            changes, prepared = await kept.enter_async_context(preparing_migration(settings, flags.field))
        ask(changes, yes=flags.yes)
        say_when_stopped(RESUMES)
        with showing(bar, "filling") as (show, say):
            stop, received = stop_on_signal(say)
            reports = await fill(prepared, rejects=flags.rejects, stop=stop, on_progress=show)
    return reports, signal_of(reports, received)


async def _switch(settings: Settings, flags: MigrateFlags) -> list[IndexBackfills]:
    from connector.backfill.engine import engine_of
    from connector.backfill.migrating import choose_to_switch, describe_switch, read_backfills, switch_encoder

    async with engine_of(settings) as cluster:
        found = choose_to_switch(await read_backfills(cluster, settings.index.name))
        ask([line for backfills in found for line in await describe_switch(cluster, backfills)], yes=flags.yes)
        return [await switch_encoder(cluster, backfills) for backfills in found]


async def _clean(settings: Settings, flags: MigrateFlags, bar: bool) -> tuple[list[UndoReport], int]:
    from connector.backfill.engine import engine_of
    from connector.backfill.migrating import read_backfills, require_other
    from connector.backfill.undo import plan_undo

    async with engine_of(settings) as cluster:
        found = await read_backfills(cluster, settings.index.name)
        plans = [await plan_undo(cluster, backfills.index, None, require_other(backfills)) for backfills in found]
        return await take_out(cluster, plans, settings, yes=flags.yes, bar=bar)


def _show(found: list[IndexBackfills], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(backfills) for backfills in found]))
        return
    for backfills in found:
        beside = f"; those of {backfills.other.encoder.name} stand beside them" if backfills.other else ""
        results().print(
            f"{backfills.index}: searches use the vectors of {backfills.used.encoder.name}{beside}", highlight=False
        )
