"""A cluster that is asked again while it is away. A block is not waited for: somebody has to take it away."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from connector.clusters.clients import Client
from connector.clusters.rest import RestCluster
from connector.credentials import Credentials
from connector.errors import ClusterUnavailable, IndexBlocked
from connector.retries import Retry
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
            (ClusterUnavailable,),
            settings.max_attempts,
            settings.backoff_s,
            on_retry=partial(tell_retry, on_retry),
            never=(IndexBlocked,),
        )

    @property
    def has_credentials(self) -> bool:
        return self._client.has_credentials

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        send = partial(self._client.request, method, path, body=body, params=params, timeout_s=timeout_s)
        return await self._retry.run(send)

    async def bulk(
        self, index: str, lines: Sequence[bytes], *, params: Mapping[str, str] | None = None, timeout_s: float
    ) -> dict[str, Any]:
        return await self._client.bulk(index, lines, params=params, timeout_s=timeout_s)

    def as_caller(self, credentials: Credentials) -> Client:
        return _PatientClient(self._client.as_caller(credentials), self._settings, self._on_retry)

    async def close(self) -> None:
        await self._client.close()


def while_unavailable(settings: IngestSettings) -> Retry:
    """Tries what reads or refreshes as often as `ingest.max_attempts` allows; raises its last ClusterUnavailable."""
    return Retry((ClusterUnavailable,), settings.max_attempts, settings.backoff_s, never=(IndexBlocked,))


def tell_retry(on_retry: Callable[[int], None], error: Exception, wait_s: float) -> None:
    """Say that a request is sent again, and count it."""
    log.warning("%s; trying again in %.1f s", error, wait_s)
    on_retry(1)
