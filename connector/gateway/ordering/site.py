"""The indexes that the settings name, opened: what of each a search needs to know, re-read once in a while.

They are opened with the credentials of the settings, which may read their mappings. No search is asked with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache

from connector.clusters.protocol import Cluster
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import RestIndex
from connector.errors import ConnectorError, EncoderMismatch, IndexMissing, SettingsError
from connector.gateway.encoder import SharedEncoder
from connector.gateway.ordering.index_names import ALL, NO_NAMES, PATH, read_index_names
from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.text import TextReader
from connector.rerankers.protocol import Reranker
from connector.search.own import exact_fields
from connector.search.searcher import Searcher
from connector.settings.gateway import GatewayIndexSettings
from connector.settings.search import SearchSettings
from connector.settings.sections import ClusterSettings, Settings
from connector.wiring import build_searcher, open_cluster, open_index, open_rerankers

log = logging.getLogger(__name__)
UNFIT = (SettingsError, IndexMissing, EncoderMismatch)  # the index was seen, and is none to rerank
NAMES_TIMEOUT_S = 30.0
SPELLINGS, SPELLING_CHARS = 1_024, 1_000  # of names that are remembered, and how long one is at most
REOPEN_S = 60.0  # mappings are read anew so often; and what could not be opened is tried again


@dataclass(frozen=True, slots=True)
class Site:
    """One index, opened, with a searcher for each pipeline; "" is that of the settings."""

    name: str
    settings: GatewayIndexSettings
    cluster: ClusterSettings
    legs: Mapping[str, str]  # their kinds by their names
    reranked: int  # so many hits of the order a reranker may move
    deadline_s: float
    index: RestIndex
    searchers: Mapping[str, Searcher]
    is_elasticsearch: bool

    def searcher(self, pipeline: str) -> Searcher:
        return self.searchers[pipeline]

    def is_dense(self, leg: str) -> bool:
        return self.legs.get(leg) == "dense"

    @property
    def may_repeat(self) -> frozenset[str]:
        """Parts whose failures the engine words, perhaps with words of the query."""
        return frozenset((*self.legs, "page"))

    def reader(self) -> TextReader:
        """What reads the caller's queries."""
        return TextReader(exact_fields(self.index.schema), self.settings.function_score)


@dataclass(frozen=True, slots=True)
class Searched:
    """A site that a request asks for. Where its path names it by another name, `indices` are those that its hits have
    to be of: what stands behind a name may have changed since."""

    site: Site
    indices: frozenset[str] | None = None


class Sites:
    """All of them. Each can be asked for at once; one that is not open yet is None."""

    def __init__(self, settings: Settings, encoder: SharedEncoder) -> None:
        """The encoder is whose it was."""
        self.settings = settings
        self.names = frozenset(name for name, index in settings.gateway.indexes.items() if index.mode != "off")
        self.pipelines = frozenset(settings.gateway.pipelines)
        self.tried = asyncio.Event()  # each was tried to be opened
        self._sites: dict[str, Site] = {}
        self._parts = AsyncExitStack()
        self._cluster: Cluster | None = None
        self._encoder = encoder
        self._rerankers: dict[str, Reranker] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._names = NO_NAMES
        self._spelled: LRUCache[str, Searched | None] = LRUCache(SPELLINGS)  # other names than those of the settings

    def names_one(self, expression: str) -> bool:
        """Whether that is the name of one of them, open or not, or another name of one that is open."""
        return expression in self.names or self.find(expression) is not None

    def find(self, expression: str) -> Searched | None:
        """The one that a path asks for: by its name, or by names and patterns that stand for the same indices."""
        if expression in self.names:
            site = self._sites.get(expression)
            return Searched(site) if site else None
        if expression in self._spelled:
            return self._spelled[expression]
        found = self._spelled_so(expression)
        if len(expression) <= SPELLING_CHARS:
            self._spelled[expression] = found
        return found

    def _spelled_so(self, expression: str) -> Searched | None:
        indices = self._names.behind(expression)
        if indices is None:
            return None
        sites = [site for name, site in self._sites.items() if self._names.behind(name) == indices]
        if not sites or any(site.settings != sites[0].settings for site in sites):
            return None
        return Searched(sites[0], indices)

    def start(self) -> None:
        """Begin to open them, and go on to do so; searches pass through until then."""
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        if self._keeping:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        for site in self._sites.values():
            _close(site)
        await self._parts.aclose()

    async def _keep(self) -> None:
        while True:
            try:
                await self._open_all()
            except Exception:  # searches go on to pass through
                log.exception("gateway: a fault while indexes were opened")
            self.tried.set()
            await asyncio.sleep(REOPEN_S)

    async def _open_all(self) -> None:
        for name in sorted(self.names):
            try:
                site = await self._open(name)
            except ConnectorError as error:
                self._could_not(name, error)
                continue
            old = self._sites.get(name)
            if old is not None and old.index.looks_like(site.index):
                _close(site)
                continue
            self._sites[name] = site  # what is under way with the old one goes on with it
            log.info("gateway: searches of %s are reranked", name)
        await self._look_at_names()

    async def _look_at_names(self) -> None:
        """What stands behind all names. Where it is not told, the last that was known counts."""
        self._spelled.clear()
        if not isinstance(self._cluster, RestCluster) or not self._sites:
            return
        try:
            reply = await self._cluster.client.request("GET", PATH, params=ALL, timeout_s=NAMES_TIMEOUT_S)
        except ConnectorError as error:
            log.warning("gateway: only the names of the settings are known, and no aliases and patterns: %s", error)
            return
        self._names = read_index_names(reply)
        self._spelled.clear()

    def _could_not(self, name: str, error: ConnectorError) -> None:
        """An index that is known goes on as it was, unless it is now one that cannot be reranked."""
        if isinstance(error, UNFIT):
            self._sites.pop(name, None)
        if name in self._sites:
            log.warning("gateway: %s goes on as it was, since it could not be looked at anew: %s", name, error)
        else:
            log.warning("gateway: searches of %s pass through, since it could not be opened: %s", name, error)

    async def _open(self, name: str) -> Site:
        settings = settings_for(self.settings, name)
        cluster = await self._connected()
        index = await open_index(cluster, settings)
        if not isinstance(index, RestIndex):
            raise SettingsError(
                "neither the embedded store nor a plug-in's cluster has a _search of its own; set cluster.url to a "
                "cluster"
            )
        if "lexical" not in [leg.kind for leg in settings.search.legs.values()]:
            raise SettingsError("search.legs has no lexical leg to send the callers' queries with; add one")
        encoder = await self._encoder.get() if index.schema.vector_field else None
        made = {"": settings} | {
            pipeline: with_search(settings, changes) for pipeline, changes in settings.gateway.pipelines.items()
        }
        searchers = {
            pipeline: build_searcher(index, encoder, await self._reached(own_settings), own_settings)
            for pipeline, own_settings in made.items()
        }
        given = settings.gateway.indexes[name]
        return Site(
            name,
            given,
            settings.cluster,
            {leg: str(found.kind) for own_settings in made.values() for leg, found in own_settings.search.legs.items()},
            max((stage.window for own_settings in made.values() for stage in own_settings.search.rerank), default=0),
            given.deadline_s or settings.search.deadline_s,
            index,
            searchers,
            cluster.engine.kind == "elasticsearch",
        )

    async def _connected(self) -> Cluster:
        if self._cluster is None:
            self._cluster = await open_cluster(self.settings)
            self._parts.push_async_callback(self._cluster.close)
        return self._cluster

    async def _reached(self, settings: Settings) -> Mapping[str, Reranker]:
        for name, reranker in open_rerankers(settings).items():
            if name in self._rerankers:
                await reranker.close()
                continue
            self._rerankers[name] = reranker
            self._parts.push_async_callback(reranker.close)
        return self._rerankers


def settings_for(settings: Settings, name: str) -> Settings:
    """The settings of a search of one of the gateway's indexes."""
    given = settings.gateway.indexes[name]
    index: dict[str, Any] = {"name": name}
    index |= {"text_fields": given.fields} if given.fields is not None else {}
    index |= {"vector_field": given.vector_field} if given.vector_field is not None else {}
    return settings.model_copy(update={"index": settings.index.model_copy(update=index)})


def with_search(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with another search, as a pipeline changes it."""
    given = settings.model_dump(mode="python", exclude_unset=True)
    search = settings.search.model_dump(mode="python", exclude_unset=True) | dict(changes)
    SearchSettings.model_validate(search)
    return Settings.model_validate(given | {"search": search})


def _close(site: Site) -> None:
    for searcher in site.searchers.values():
        searcher.close()


def check_patterns(searched: Searched, expression: str, parameters: Iterable[str]) -> None:
    """Nothing, where the patterns of the expression find what they find by default. Raises NotRecognised."""
    if searched.indices is not None and "*" in expression and "expand_wildcards" in parameters:
        raise NotRecognised("expand_wildcards of a pattern")
