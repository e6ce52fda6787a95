"""An index with vectors beside it, followed: what applications write is in both within seconds.

Reading is all that is needed. So the highest number that a search shows tells where to go on, and some before it are
looked at again, since writes may become visible after later ones. A sweep now and then compares all, and takes out what
is gone. The next run goes on where this one ended."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable

from connector.backfill.beside.filling import BesideCounts, BesideJob, BesideReport
from connector.backfill.keeping_up.beside_state import BesideState
from connector.backfill.keeping_up.lag import PassageLag
from connector.backfill.keeping_up.passing import may_pass
from connector.backfill.keeping_up.state import StateFile
from connector.clusters.beside.index import BesideIndex
from connector.clusters.rest import RestCluster
from connector.errors import ClusterError, ConnectorError
from connector.retries import pauses
from connector.settings.follow import FollowSettings
from connector.settings.sections import IngestSettings

log = logging.getLogger(__name__)


class BesideFollower:
    """Follows the index that the job is of, which is to tell `see` of its progress."""

    def __init__(
        self,
        cluster: RestCluster,
        index: BesideIndex,
        settings: FollowSettings,
        patience: IngestSettings,
        *,
        state: StateFile = StateFile(None),
        stop: asyncio.Future[str],
        on_behind: Callable[[PassageLag], None] = lambda behind: None,
    ) -> None:
        self._cluster = cluster
        self._index = index
        self._settings = settings
        self._patience = patience
        self._state = BesideState(cluster, index, state)
        self._stop = stop
        self._on_behind = on_behind
        self._right_at = time.monotonic()  # a moment up to which everything written is right
        self._left = 0  # documents that the first pass has not read

    async def run(self, job: BesideJob) -> BesideReport:
        """Until `stop` resolves, or an error that does not pass."""
        started = time.monotonic()
        waits = pauses(self._patience.backoff_s, sys.maxsize)
        while not self._stop.done():
            wait_s: float | None = self._settings.every_s
            began = time.monotonic()
            try:
                await self._look(job)
                waits = pauses(self._patience.backoff_s, sys.maxsize)
                self._right_at, self._left = began, 0
                self._on_behind(PassageLag())
            except ConnectorError as error:
                wait_s = next(waits)
                if gone := await self._find_gone(error):
                    return job.report(started, f"index {gone!r} is gone, and with it what was followed")
                if not may_pass(error):
                    return job.report(started, str(error))
                log.warning("%s: %s; trying again in %.1f s", self._index.name, error, wait_s)
                self._tell(str(error))
            await asyncio.wait([self._stop], timeout=wait_s)
        return job.report(started, self._stop.result())

    async def _look(self, job: BesideJob) -> None:
        await self._state.look(job)
        began = time.time()
        is_sweep = self._state.is_sweep_due(self._settings.sweep_s)
        await job.take_pass(is_sweep=is_sweep)
        if not self._stop.done():
            self._state.passed(job, swept_at=began if is_sweep else None)

    def see(self, counts: BesideCounts) -> None:
        """A pass may take hours: how long it is behind is told on the way."""
        self._left = 0 if counts.passes else max(counts.total - counts.read, 0)
        self._tell()

    def _tell(self, trouble: str = "") -> None:
        behind = bool(self._left or trouble)
        self._on_behind(PassageLag(self._left, time.monotonic() - self._right_at if behind else 0.0, trouble))

    async def _find_gone(self, error: ConnectorError) -> str:
        """Which of the two indices is not there any more, where that may be behind an error."""
        if not isinstance(error, ClusterError) or error.status != 404:
            return ""
        for name in (self._index.name, self._index.vectors.name):
            try:
                await self._cluster.read_uuid(name)
            except ClusterError as missing:
                if missing.status == 404:
                    return name
        return ""
