"""Following from the settings: all vectors behind a name, each encoder's by a follower of its own.

What there is to follow changes meanwhile. An index begins to change its encoder, or a rollover adds an index to an
alias. So it is looked for again and again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from connector.backfill.engine import engine_of
from connector.backfill.keeping_up.finding import VectorsToFollow, find_to_follow
from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.keeping_up.preparing import EncoderCache, FollowerFiles, Ready, VectorsFollower, prepare
from connector.backfill.keeping_up.state import StateFile
from connector.backfill.pace.throttle import WritePace
from connector.backfill.pace.watch import LoadBounds, watch_load, watching
from connector.backfill.report import BackfillCounts, BackfillReport
from connector.clusters.rest import RestCluster
from connector.errors import AccessDenied, ConnectorError, SettingsError
from connector.settings.sections import Settings

log = logging.getLogger(__name__)
NO_BOUNDS = LoadBounds()
TRY_AGAIN_S = 60.0  # what could not be followed, as for want of its encoder


@dataclass(frozen=True, slots=True)
class FollowedIndices:
    """What is followed, found fit for it."""

    cluster: RestCluster
    settings: Settings
    ready: Sequence[Ready]
    encoders: EncoderCache
    without: Sequence[str] = ()  # indices that have nothing to follow


@asynccontextmanager
async def opening_followed(settings: Settings) -> AsyncIterator[FollowedIndices]:
    """All vectors behind settings.index.name. Raises ConnectorError where there are none, or where an encoder that
    filled them cannot be had."""
    async with engine_of(settings) as cluster:
        found = await find_to_follow(cluster, settings)
        found.check(settings.index.name)
        encoders = EncoderCache(settings)
        ready = [await prepare(cluster, settings, vectors, encoders) for vectors in found.vectors]
        yield FollowedIndices(cluster, settings, ready, encoders, found.without)


@dataclass(frozen=True, slots=True)
class FollowListeners:
    """Who hears of it, by the name of the vectors."""

    on_progress: Callable[[str, BackfillCounts], None] = lambda name, counts: None
    on_behind: Callable[[str, PassageLag], None] = lambda name, behind: None
    on_end: Callable[[str], None] = lambda name: None  # of what was taken out


async def follow(
    followed: FollowedIndices,
    *,
    states: Path = Path(),
    rejects: Path | None = None,
    bounds: LoadBounds = NO_BOUNDS,
    stop: asyncio.Future[str],
    listeners: FollowListeners = FollowListeners(),
) -> list[BackfillReport]:
    """Follow all of them side by side until `stop` resolves, to a reason, and what comes to them meanwhile. Where one
    ends by an error, the others go on.

    `states` is the folder in which the state of each is kept."""
    followers = _Followers(followed, FollowerFiles(states, rejects), bounds, stop, listeners)
    return await followers.run()


@dataclass(slots=True)
class _Followers:
    """The followers of one command."""

    followed: FollowedIndices
    files: FollowerFiles
    bounds: LoadBounds
    stop: asyncio.Future[str]
    listeners: FollowListeners
    tasks: dict[str, asyncio.Task[BackfillReport]] = field(default_factory=dict)  # by the key of the vectors
    reports: list[BackfillReport] = field(default_factory=list)  # of vectors that were taken out
    warned: set[str] = field(default_factory=set)  # of indices that have nothing to follow
    tried: dict[str, float] = field(default_factory=dict)  # when what cannot be followed was tried last

    async def run(self) -> list[BackfillReport]:
        for ready in self.followed.ready:
            self._start(ready, fills_old=True)
        self._say_without(self.followed.without)
        try:
            while not self.stop.done():
                await self._until_due()
                looking = asyncio.create_task(self._look_for_more())
                either: list[asyncio.Future[Any]] = [looking, self.stop]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if looking.done():
                    looking.result()
                looking.cancel()
                if not self._running:
                    break
            if running := self._running:
                await asyncio.wait(running)
        finally:
            for task in self._running:
                task.cancel()
            self.files.close()
        return [*self.reports, *(task.result() for task in self.tasks.values())]

    @property
    def _running(self) -> list[asyncio.Task[BackfillReport]]:
        return [task for task in self.tasks.values() if not task.done()]

    async def _until_due(self) -> None:
        """Until it is time to look, or until something ends. Raises what ended a follower."""
        waited_for: list[asyncio.Future[Any]] = [*self._running, self.stop]
        every_s = self.followed.settings.follow.every_s
        await asyncio.wait(waited_for, timeout=every_s, return_when=asyncio.FIRST_COMPLETED)
        for task in self.tasks.values():
            if task.done():
                task.result()

    def _start(self, ready: Ready, *, fills_old: bool) -> None:
        rejects, state = self.files.of(ready)
        self.tasks[ready.found.key] = asyncio.create_task(self._follow(ready, rejects, state, fills_old))

    async def _follow(self, ready: Ready, rejects: Path, state: StateFile, fills_old: bool) -> BackfillReport:
        name, cluster, pace = ready.found.name, self.followed.cluster, WritePace()
        follower = VectorsFollower(
            cluster, self.followed.settings, ready, stop=self.stop, pace=pace, rejects=rejects, state=state,
            fills_old=fills_old,
            on_progress=lambda counts: self.listeners.on_progress(name, counts),
            on_behind=lambda behind: self.listeners.on_behind(name, behind),
        )  # fmt: skip
        async with watching(watch_load(cluster.client, ready.found.index, pace, self.bounds)) as watch:
            try:
                with state.held():
                    self.files.begin(rejects)  # a second follower of these vectors has not touched it by then
                    report = await follower.run()
            except (AccessDenied, SettingsError) as error:
                if len(self.tasks) == 1:
                    raise
                report = BackfillReport(ready.found.index, BackfillCounts(ready.documents), 0.0, stopped=str(error))
        if report.stopped and not self.stop.done():  # the others go on, and the report comes when they end
            log.error("%s is not followed any more: %s", name, report.stopped)
            self.listeners.on_behind(name, PassageLag(trouble=report.stopped))
        if not report.stopped:
            self.listeners.on_end(name)
            for note in report.notes:
                log.warning("%s: %s", name, note)
        return replace(report, notes=(*report.notes, *watch.notes))

    async def _look_for_more(self) -> None:
        """Vectors that were not there before: of a migration that began, of an index that a rollover added, or of other
        text fields in the place of those that were taken out."""
        for key, task in list(self.tasks.items()):
            if task.done() and not task.result().stopped:
                self.reports.append(self.tasks.pop(key).result())
        try:
            found = await find_to_follow(self.followed.cluster, self.followed.settings)
        except ConnectorError as error:  # each follower says what keeps it from looking
            log.debug("what there is to follow was not looked for: %s", error)
            return
        for vectors in found.vectors:
            is_due = time.monotonic() >= self.tried.get(vectors.key, -TRY_AGAIN_S) + TRY_AGAIN_S
            if vectors.key not in self.tasks and is_due:
                await self._begin(vectors)
        if self._running:
            self._say_without(found.without)

    async def _begin(self, found: VectorsToFollow) -> None:
        self.tried[found.key] = time.monotonic()
        try:
            ready = await prepare(self.followed.cluster, self.followed.settings, found, self.followed.encoders)
            self._start(ready, fills_old=False)
        except ConnectorError as error:
            log.error("%s has vectors of %s by now, and they are not followed: %s", found.name, found.encoder, error)
            self.listeners.on_behind(found.name, PassageLag(trouble=str(error)))
            return
        log.info("%s has vectors of %s by now; they are followed too", found.name, found.encoder)
        self.tried.pop(found.key)

    def _say_without(self, indices: Sequence[str]) -> None:
        for index in indices:
            if index not in self.warned:
                self.warned.add(index)
                log.warning(
                    "index %s behind %s was not back-filled, and is not followed; fill it, and it is from then on: "
                    "connector backfill %s", index, self.followed.settings.index.name, index,
                )  # fmt: skip
