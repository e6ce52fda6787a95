"""The searches behind the page: of each pipeline, opened when somebody first asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connector.client import SearchOptions
from connector.credentials import Credentials
from connector.errors import SettingsError
from connector.gateway.lazy_connector import LazyConnector
from connector.gateway.ordering.site import with_search
from connector.gateway.ui.found import title_in
from connector.gateway.ui.page_params import AS_SET, NO_RERANK
from connector.judging.page.showing import HEADINGS
from connector.settings.sections import Settings
from connector.source_filter import SourceFilter
from connector.types import SearchResponse

KNOWN = 40  # hits that are read; of other documents in the columns only the titles are
TITLES_S = 5.0
FACETS, FACET_VALUES = 4, 6
Facets = Mapping[str, Mapping[str, int]]  # field -> value -> documents


class Pipelines:
    """The settings as they are, the same without a reranker, and what `gateway.pipelines` names."""

    def __init__(self, lazy: LazyConnector) -> None:
        self._lazy = lazy
        self._others: dict[str, LazyConnector] = {}

    @property
    def settings(self) -> Settings:
        return self._lazy.settings

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they are offered."""
        return AS_SET, NO_RERANK, *self._lazy.settings.gateway.pipelines

    async def metadata(self) -> Mapping[str, str]:
        """The fields that can be filtered by, with their types."""
        return (await self._lazy.get()).searcher.index.schema.fields.metadata

    async def search(
        self, name: str, query: str, filters: tuple[str, ...], credentials: Credentials | None, *, counts: bool
    ) -> SearchResponse:
        """The answer of a pipeline; `counts`: with facets, where a lexical leg can count. Raises what
        `Connector.search` raises, and SettingsError for a pipeline that there is not."""
        lazy = self._lazy_of(name)
        options = _options(name, filters, credentials) | {"k": _known_hits(lazy.settings)}
        can_count = any(leg.kind == "lexical" for leg in lazy.settings.search.legs.values())
        if counts and can_count and (facets := _aggregations(await self.metadata())):
            options |= {"aggs": facets, "total": True}
        return await (await lazy.get()).search(query, **options)

    async def rank(
        self, name: str, query: str, filters: tuple[str, ...], credentials: Credentials | None
    ) -> SearchResponse:
        """The same order, of which no field is read. Raises what `search` raises."""
        connector = await self._lazy_of(name).get()
        options = _options(name, filters, credentials) | {"source": False}
        return await connector.search(query, **options)

    def check(self, name: str) -> None:
        """Raises SettingsError for a pipeline that there is not."""
        self._lazy_of(name)

    async def titles(self, doc_ids: Sequence[str], credentials: Credentials | None) -> dict[str, str]:
        """What documents are called, as far as the caller may see them. Raises ConnectorError."""
        if not doc_ids:
            return {}
        index = (await self._lazy.get()).searcher.index
        index = index.as_caller(credentials) if credentials else index
        found = await index.get(doc_ids, fields=None, timeout_s=TITLES_S, source=SourceFilter(HEADINGS))
        return {doc_id: title_in(fields, doc_id) for doc_id, fields in found.items()}

    def _lazy_of(self, name: str) -> LazyConnector:
        if name in (AS_SET, NO_RERANK):
            return self._lazy
        settings = self._lazy.settings
        if name not in settings.gateway.pipelines:
            raise SettingsError(
                f"there is no pipeline {name!r}; gateway.pipelines has: {', '.join(self.names[2:]) or 'none'}"
            )
        if name not in self._others:
            changed = with_search(settings, settings.gateway.pipelines[name])
            self._others[name] = self._lazy.of(changed)
        return self._others[name]


def read_facets(response: SearchResponse) -> Facets:
    """How many documents have which value."""
    found = {
        field: {str(bucket["key"]): int(bucket["doc_count"]) for bucket in aggregation.get("buckets", ())}
        for field, aggregation in response.aggregations.items()
    }
    return {field: values for field, values in found.items() if values}


def _options(name: str, filters: tuple[str, ...], credentials: Credentials | None) -> SearchOptions:
    options: SearchOptions = {"filter": list(filters), "credentials": credentials}
    if name == NO_RERANK:
        options["rerank"] = False
    return options


def _known_hits(settings: Settings) -> int:
    """More than are shown, and no more than the reranker sees."""
    windows = [stage.window for stage in settings.search.rerank]
    return max(1, min(KNOWN, settings.search.depth, *windows))


def _aggregations(metadata: Mapping[str, str]) -> dict[str, Any]:
    keywords = [name for name, kind in metadata.items() if kind == "keyword"][:FACETS]
    return {name: {"terms": {"field": name, "size": FACET_VALUES}} for name in keywords}
