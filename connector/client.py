"""The library's front door: `Connector` for asyncio, `SyncConnector` for scripts."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from connector.clusters.protocol import Cluster
from connector.credentials import Credentials
from connector.event_loop import in_own_thread, open_runner
from connector.rerankers.worker import WorkerClient
from connector.search.searcher import Searcher
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.types import SearchRequest, SearchResponse
from connector.wiring import build_searcher, load_encoder, open_cluster, open_index, open_worker


class Connector:
    """Search one index. Open it with `await Connector.open(...)` or `async with`; safe to share between tasks."""

    def __init__(self, searcher: Searcher, cluster: Cluster, worker: WorkerClient | None) -> None:
        self._searcher = searcher
        self._cluster = cluster
        self._worker = worker

    @classmethod
    async def open(cls, settings: Settings | None = None) -> Connector:
        """Connect to the cluster and load the encoder. Raises ClusterError, ModelError, EncoderMismatch or SettingsError."""
        settings = settings or load_settings()
        cluster = await open_cluster(settings)
        try:
            index = await open_index(cluster, settings)
            encoder = await in_own_thread(load_encoder, settings) if index.schema.vector_field else None
            worker = open_worker(settings)
            return cls(build_searcher(index, encoder, worker, settings), cluster, worker)
        except BaseException:
            await cluster.close()
            raise

    @property
    def searcher(self) -> Searcher:
        return self._searcher

    async def search(
        self, query: str, *, filter: Any = None, credentials: Credentials | None = None, **options: Any
    ) -> SearchResponse:
        """The best documents for a query. With a caller's `credentials`, of those that this caller may see.

        `options` are the other fields of SearchRequest: k, depth, window, rerank, deadline_s. Raises AccessDenied."""
        return await self._searcher.search(SearchRequest(query, filter, credentials=credentials, **options))

    async def close(self) -> None:
        if self._worker:
            await self._worker.close()
        await self._cluster.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class SyncConnector:
    """`Connector` for code without an event loop; not to be shared between threads."""

    def __init__(self, runner: asyncio.Runner, connector: Connector) -> None:
        self._runner = runner
        self._connector = connector

    @classmethod
    def open(cls, settings: Settings | None = None) -> SyncConnector:
        runner = open_runner()
        try:
            return cls(runner, runner.run(Connector.open(settings)))
        except BaseException:
            runner.close()
            raise

    def search(
        self, query: str, *, filter: Any = None, credentials: Credentials | None = None, **options: Any
    ) -> SearchResponse:
        """See `Connector.search`."""
        return self._runner.run(self._connector.search(query, filter=filter, credentials=credentials, **options))

    def close(self) -> None:
        self._runner.run(self._connector.close())
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
