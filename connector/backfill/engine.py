"""The engine whose indices are back-filled, for as long as a block lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connector.clusters.rest import RestCluster
from connector.errors import SettingsError
from connector.settings.sections import Settings
from connector.wiring import opened_cluster


@asynccontextmanager
async def engine_of(settings: Settings) -> AsyncIterator[RestCluster]:
    """A connection to the configured engine. Raises SettingsError for the embedded store."""
    async with opened_cluster(settings) as cluster:
        if not isinstance(cluster, RestCluster):
            raise SettingsError(
                "only indices of Elasticsearch and OpenSearch are back-filled; ingest into the embedded store"
            )
        yield cluster
