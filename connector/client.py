"""The library's front door: `Connector` for asyncio, `SyncConnector` for scripts and threads."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

from connector.clusters.protocol import Cluster
from connector.credentials import Credentials
from connector.errors import ConnectorClosed, SettingsError, UsageError
from connector.event_loop import LoopThread, in_own_thread
from connector.models.encoder import Encoder
from connector.rerankers.protocol import Reranker
from connector.search.request import build_request
from connector.search.searcher import Searcher
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.types import SearchResponse
from connector.wiring import build_searcher, load_encoder, open_cluster, open_index, open_rerankers

CLOSED = "this connector is closed; open another one: {}.open()"


class SearchOptions(TypedDict, total=False):
    """What a search can be given beside its query; what is left out, or None, takes the value of the settings.

    `lexical`, the application's own query in the engine's words, which becomes the lexical leg as it is;
    `filter` as text (`date>=2024-01-15`), JSON, or a list of either, joined by "and"; `k`, hits the caller gets;
    `offset`, how many hits to leave out before them; `cursor`, True to begin pages that hold still, then the cursor of
    the page before; `depth`, hits that a leg returns if it has no depth of its own; `window`, hits that the first
    rerank stage sees, no fewer than k; `rerank`, whether anything is reranked; `deadline_s`, seconds that the search
    may take; `credentials`, who asks: only what this caller may see is found; `facts`, what the caller knows about the
    request, by which a stage can be left out (`when`).

    For a results page, each worded as the engines word it: `total`, up to how many documents are counted (True: all;
    left out: 10,000 if the search has another of these options, else none); `aggs`, aggregations; `facets`, whether
    both count what the `lexical` query matches, or the `union` with what only other legs found; `highlight`, options,
    names of fields, or True for all text fields; `source`, the fields that a hit shows; `collapse`, a field of which
    each value is shown once; `sort`, an order in place of fusion and rerank."""

    lexical: Mapping[str, Any] | None
    filter: Any
    k: int | None
    offset: int | None
    cursor: str | bool | None
    depth: int | None
    window: int | None
    rerank: bool | None
    deadline_s: float | None
    credentials: Credentials | None
    facts: Mapping[str, Any] | None
    total: bool | int | None
    aggs: Mapping[str, Any] | None
    facets: Literal["lexical", "union"] | None
    highlight: bool | str | Sequence[str] | Mapping[str, Any] | None
    source: bool | str | Sequence[str] | Mapping[str, Any] | None
    collapse: str | None
    sort: str | Mapping[str, Any] | Sequence[Any] | None


class Connector:
    """Search one index. Open it with `await Connector.open(...)` or `async with`; safe to share between tasks.

    It belongs to the event loop that it was opened in."""

    def __init__(
        self, searcher: Searcher, cluster: Cluster, rerankers: Iterable[Reranker] = (), encoder: Encoder | None = None
    ) -> None:
        """What the searcher uses is closed with it."""
        self._searcher = searcher
        self._loop = asyncio.get_running_loop()
        self._searches = 0  # under way
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing: asyncio.Task[None] | None = None
        self._parts = AsyncExitStack()
        self._parts.push_async_callback(cluster.close)
        for reranker in rerankers:
            self._parts.push_async_callback(reranker.close)
        if close := getattr(encoder, "close", None):  # of one that is asked over HTTP
            self._parts.callback(close)
        self._parts.callback(searcher.close)

    @classmethod
    async def open(
        cls, settings: Settings | None = None, *, encoder: Callable[[], Awaitable[Encoder]] | None = None
    ) -> Connector:
        """Connect to the cluster and load the encoder. `encoder` gives one that several connectors share: it is asked
        for where the index has vectors, and closing this connector leaves it open.

        Raises ClusterError, ModelError, EncoderMismatch or SettingsError."""
        settings = _check_settings(settings)
        cluster = await open_cluster(settings)
        rerankers: Mapping[str, Reranker] = {}
        try:
            index = await open_index(cluster, settings)
            found: Encoder | None = None
            if index.schema.vector_field:
                # a thread that nothing waits for: whoever interrupts the loading is not kept by it
                found = await (encoder() if encoder else in_own_thread(load_encoder, settings))
            rerankers = open_rerankers(settings)
            searcher = build_searcher(index, found, rerankers, settings)
            return cls(searcher, cluster, rerankers.values(), None if encoder else found)
        except BaseException:  # an interrupt too: nothing is left open; it is raised again
            for reranker in rerankers.values():
                await reranker.close()
            await cluster.close()
            raise

    @property
    def searcher(self) -> Searcher:
        """What runs the searches: its `first_stage` gives the legs' rankings alone."""
        return self._searcher

    async def search(self, query: str | None = None, **options: Unpack[SearchOptions]) -> SearchResponse:
        """The best documents for a query, by the deadline: what could not be had by then is named in `degraded`.
        The options are those of `SearchOptions`. The query may be left out where `lexical` holds its text.

        Raises QueryError, FilterError, SettingsError, CredentialsError, AccessDenied, SearchFailed, ConnectorClosed."""
        self._check_loop()
        if self._closing:
            raise ConnectorClosed(CLOSED.format("await Connector"))
        request = build_request(query, options)
        self._searches += 1
        self._idle.clear()
        try:
            return await self._searcher.search(request)
        finally:
            self._searches -= 1
            if not self._searches:
                self._idle.set()

    async def close(self) -> None:
        """Let the searches under way end, each by its deadline, and end all connections; twice is no error."""
        self._check_loop()
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._idle.wait()
        await self._parts.aclose()

    def _check_loop(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError(
                "this connector was opened in another event loop; open and use it in one, by a single asyncio.run, "
                "or take SyncConnector, which has a loop of its own"
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class SyncConnector:
    """`Connector` for code without an event loop, and for threads, which may share it.

    Its event loop runs in a thread of its own, so that it also works where a loop runs already (a notebook); it blocks
    that loop while it searches, which `Connector` does not."""

    def __init__(self, loop: LoopThread, connector: Connector) -> None:
        self._loop = loop
        self._connector = connector
        # closes once, when asked to, or with the last reference, or at the end of the process
        self._close = weakref.finalize(self, _close, loop, connector)

    @classmethod
    def open(cls, settings: Settings | None = None) -> SyncConnector:
        """Connect to the cluster and load the encoder. Raises what `Connector.open` raises."""
        loop = LoopThread()
        try:
            return cls(loop, loop.run(partial(Connector.open, settings)))
        except BaseException:  # an interrupt too: nothing is left open; it is raised again
            loop.close()
            raise

    def search(self, query: str | None = None, **options: Unpack[SearchOptions]) -> SearchResponse:
        """The best documents for a query, as `Connector.search` gives them.

        Raises what that raises, and UsageError in a process that was forked from the one that opened it."""
        if not self._close.alive:
            raise ConnectorClosed(CLOSED.format("SyncConnector"))
        return self._loop.run(partial(self._connector.search, query, **options))

    def close(self) -> None:
        """Let the searches under way end, and end all connections. Closing twice is no error."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _close(loop: LoopThread, connector: Connector) -> None:
    if not loop.is_of_this_process:  # a fork has no thread that could close anything
        return
    if loop.is_current:  # it is collected as garbage in its own thread, which cannot wait for itself
        threading.Thread(target=_close, args=(loop, connector), daemon=True).start()
        return
    try:
        loop.run(connector.close)
    finally:
        loop.close()


def _check_settings(settings: Any) -> Settings:
    if settings is None:
        return load_settings()
    if not isinstance(settings, Settings):
        raise SettingsError(
            f"open() takes Settings, not {type(settings).__name__}; load_settings(file=...) reads a file of them"
        )
    return settings
