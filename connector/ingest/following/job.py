"""One followed source from its settings: open it, the cluster and the index, follow it, close everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from connector.errors import SettingsError
from connector.ingest.following.account import Account, FollowReport
from connector.ingest.following.follower import Follower
from connector.ingest.following.opening import open_followed
from connector.ingest.following.source import FollowedSource, FollowTarget
from connector.ingest.job import open_target, rejects_file
from connector.ingest.plan import Plan, empty_columns
from connector.ingest.rejects import RejectsFile, check_apart
from connector.ingest.sources.opening import KAFKA_SCHEME
from connector.settings.sections import Settings
from connector.wiring import open_cluster


async def follow_source(
    location: str,
    settings: Settings,
    *,
    stop: asyncio.Future[str],
    rejects: Path | None = None,
    delete_missing: bool = False,
    agree: Callable[[list[str]], bool] = lambda made: False,
    on_state: Callable[[FollowReport], None] = lambda report: None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    say: Callable[[str], None] = lambda message: None,
) -> FollowReport:
    """Ingest the source at `location`, then write its changes until `stop` resolves with a reason.

    `agree` is asked before anything is made at the source. `on_state` is told each second what was done so far. Raises
    ConnectorError where that cannot start."""
    followed = open_followed(location, settings, delete_missing=delete_missing)
    rejects = rejects or rejects_file(settings, location)
    check_apart(rejects, location)
    shared = location.startswith(KAFKA_SCHEME)  # processes that share a topic never begin the file anew
    with RejectsFile(rejects).held(shared=shared):  # before anything is read or made
        cluster = await open_cluster(settings)
        opening: asyncio.Task[Any] | None = None
        try:
            if (made := await followed.will_make()) and not agree(made):
                raise SettingsError(f"following {location} makes {'; '.join(made)}: agree with --yes")
            await followed.begin()
            opening = asyncio.create_task(open_target(cluster, settings, followed.source, on_plan, say, stop.done))
            either: list[asyncio.Future[Any]] = [opening, stop]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                return _stopped_early(stop.result())
            index, encoder, plan = opening.result()
            is_new = plan is not None or not await cluster.count(index.name)
            follower = Follower(
                followed,
                index,
                encoder,
                settings.ingest,
                rejects=rejects,
                stop=stop,
                target=FollowTarget(f"{index.name} at {settings.cluster.url}", index.schema.fields.id, is_new=is_new),
                delete_missing=delete_missing,
                on_state=on_state,
            )
            report = await follower.run()
            return replace(report, plan=plan, notes={**report.notes, **(empty_columns(plan) if plan else {})})
        finally:
            await _close(followed, opening)
            await cluster.close()


async def _close(followed: FollowedSource, opening: asyncio.Task[Any] | None) -> None:
    if opening:
        opening.cancel()
        await asyncio.wait([opening])
    await followed.close()


def _stopped_early(reason: str) -> FollowReport:
    account = Account()
    account.remember(stopped=reason)
    return account.report()
