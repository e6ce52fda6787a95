"""A cluster that is asked again while it is away; and updates sent at its pace, and again while it has too much to
do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from connector.backfill.throttle import WritePace
from connector.backfill.write import UpdateOutcome, write_actions
from connector.clusters.clients import Client
from connector.clusters.rest import RestCluster
from connector.credentials import Credentials
from connector.errors import ClusterUnavailable
from connector.retries import Retry, pauses
from connector.settings.sections import IngestSettings

log = logging.getLogger(__name__)


def patient(cluster: RestCluster, settings: IngestSettings, on_retry: Callable[[int], None]) -> RestCluster:
    """The same cluster, of which each request but a bulk one is sent again where it may work later: all of a job's may
    be sent twice. `on_retry` hears of each."""
    return cluster.asked_by(_PatientClient(cluster.client, settings, on_retry))


class _PatientClient:
    """A client whose requests have as many tries as `ingest.max_attempts` allows."""

    def __init__(self, client: Client, settings: IngestSettings, on_retry: Callable[[int], None]) -> None:
        self._client = client
        self._settings = settings
        self._on_retry = on_retry
        self._retry = Retry(
            (ClusterUnavailable,), settings.max_attempts, settings.backoff_s, on_retry=partial(_tell, on_retry)
        )

    @property
    def has_credentials(self) -> bool:
        return self._client.has_credentials

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        send = partial(self._client.request, method, path, body=body, params=params, timeout_s=timeout_s)
        return await self._retry.run(send)

    async def bulk(self, index: str, lines: Sequence[bytes], *, timeout_s: float) -> dict[str, Any]:
        return await self._client.bulk(index, lines, timeout_s=timeout_s)

    def as_caller(self, credentials: Credentials) -> Client:
        return _PatientClient(self._client.as_caller(credentials), self._settings, self._on_retry)

    async def close(self) -> None:
        await self._client.close()


def _tell(on_retry: Callable[[int], None], error: Exception, wait_s: float) -> None:
    log.warning("%s; trying again in %.1f s", error, wait_s)
    on_retry(1)


class PatientUpdates:
    """Sends the actions of bulk requests to one index. `check` is awaited before each; `on_retry` hears how many are
    sent again."""

    def __init__(
        self,
        cluster: RestCluster,
        index: str,
        settings: IngestSettings,
        *,
        check: Callable[[], Awaitable[None]],
        pace: WritePace,
        on_retry: Callable[[int], None],
    ) -> None:
        self._cluster = cluster
        self._index = index
        self._settings = settings
        self._check = check
        self._pace = pace
        self._on_retry = on_retry

    async def send(self, actions: Sequence[bytes]) -> list[UpdateOutcome]:
        """What became of each action, none of them turned away by `pressure`. Once one is `blocked`, no more are sent,
        and the rest counts as blocked too.

        Raises ClusterUnavailable where the cluster has had too much to do, or was away, for too long, and what `check`
        raises."""
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
        await self._check()
        retry = Retry(
            (ClusterUnavailable,),
            self._settings.max_attempts,
            self._settings.backoff_s,
            on_retry=partial(_tell, self._on_retry),
        )
        return await retry.run(partial(write_actions, self._cluster, self._index, actions, on_bulk=self._tell_pace))

    def _tell_pace(self, took_ms: int, documents: int, outcomes: Sequence[UpdateOutcome]) -> None:
        pressed = sum(outcome.kind == "pressure" for outcome in outcomes)
        self._pace.saw(None if pressed == documents else took_ms, documents, pressed)

    def _waits(self) -> Iterator[float | None]:
        return pauses(self._settings.backoff_s, self._settings.max_attempts)
