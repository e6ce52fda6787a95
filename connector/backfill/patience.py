"""Updates sent at the cluster's pace, and sent again while it has too much to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from connector.backfill.same_index import SameIndex
from connector.backfill.throttle import WritePace
from connector.backfill.write import UpdateOutcome, write_actions
from connector.clusters.rest import RestCluster
from connector.errors import ClusterUnavailable
from connector.retries import Retry, pauses
from connector.settings.sections import IngestSettings

log = logging.getLogger(__name__)


class PatientUpdates:
    """Sends the actions of bulk requests to one index. `on_retry` hears how many are sent again."""

    def __init__(
        self,
        cluster: RestCluster,
        index: str,
        settings: IngestSettings,
        *,
        same: SameIndex,
        pace: WritePace,
        on_retry: Callable[[int], None],
    ) -> None:
        self._cluster = cluster
        self._index = index
        self._settings = settings
        self._same = same
        self._pace = pace
        self._on_retry = on_retry

    async def send(self, actions: Sequence[bytes]) -> list[UpdateOutcome]:
        """What became of each action, none of them turned away by `pressure`. Once one is `blocked`, no more are sent,
        and the rest counts as blocked too.

        Raises ClusterUnavailable where the cluster has had too much to do, or was away, for too long, and IndexGone."""
        outcomes: dict[int, UpdateOutcome] = {}
        left = list(range(len(actions)))
        waits = self._waits()
        while left:
            count = self._pace.documents
            chunk, left = left[:count], left[count:]
            found = await self._send(actions=[actions[at] for at in chunk])
            outcomes |= dict(zip(chunk, found, strict=True))
            if blocked := next((outcome for outcome in found if outcome.kind == "blocked"), None):
                return [outcomes.get(at, blocked) for at in range(len(actions))]
            pressed = [at for at in chunk if outcomes[at].kind == "pressure"]
            left = pressed + left
            if len(pressed) < len(chunk):
                waits = self._waits()
            elif (wait_s := next(waits)) is not None:
                await asyncio.sleep(wait_s)
            else:
                raise ClusterUnavailable(f"the cluster takes no more updates: {outcomes[pressed[0]].reason}")
            if pressed:
                self._on_retry(len(pressed))
        return [outcomes[at] for at in range(len(actions))]

    async def _send(self, actions: Sequence[bytes]) -> list[UpdateOutcome]:
        await self._pace.wait()
        await self._same.check()
        retry = Retry((ClusterUnavailable,), self._settings.max_attempts, self._settings.backoff_s, on_retry=self._tell)
        return await retry.run(partial(write_actions, self._cluster, self._index, actions, on_bulk=self._tell_pace))

    def _tell(self, error: Exception, wait_s: float) -> None:
        log.warning("%s; trying again in %.1f s", error, wait_s)
        self._on_retry(1)

    def _tell_pace(self, took_ms: int, documents: int, outcomes: Sequence[UpdateOutcome]) -> None:
        pressed = sum(outcome.kind == "pressure" for outcome in outcomes)
        self._pace.saw(None if pressed == documents else took_ms, documents, pressed)

    def _waits(self) -> Iterator[float | None]:
        return pauses(self._settings.backoff_s, self._settings.max_attempts)
