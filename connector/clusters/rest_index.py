"""One index of Elasticsearch or OpenSearch: searches, writes, and what else is asked of it."""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from connector.clusters.clients import Client
from connector.clusters.dialect import (
    JSON,
    Dialect,
    build_contents,
    build_count,
    build_fields,
    build_fitting,
    build_index_filter,
    magnify,
    with_stored_ids,
)
from connector.clusters.original_text import names_to_read, to_original
from connector.clusters.paths import index_path, search_path
from connector.clusters.protocol import ignore
from connector.clusters.reading.hidden_hits import fill_up
from connector.clusters.reading.hits import added_to, has_ids, read_contents, read_doc_id, read_fields, read_hits
from connector.clusters.reading.lexical import build_lexical, read_lexical, uses_scores
from connector.clusters.reading.results_page import RestResultsPage
from connector.clusters.reading.term_counts import (
    build_term_statistics,
    build_word_counts,
    find_words,
    in_characters,
    read_term_statistics,
    read_word_counts,
)
from connector.clusters.reading.views import PointInTime, View, build_rest, lost, read_rest
from connector.clusters.reasons import explain_reason
from connector.clusters.vector_form import VectorForm, as_base64, as_floats
from connector.clusters.writing.bulk import build_bulk, build_removal
from connector.clusters.writing.rest_write import BulkWriter
from connector.clusters.writing.write_place import WritePlace
from connector.credentials import Credentials
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable, SettingsError
from connector.filters import Filter
from connector.lexical import LexicalAnswer, LexicalQuery, Mark, MarkedHit, PageRequest
from connector.schema import IndexSchema
from connector.source_filter import SourceFilter
from connector.types import (
    Hit,
    HitContent,
    IndexedDocument,
    Ranking,
    TermFrequency,
    TermStatistics,
    Vector,
    WriteOutcome,
)

ADMIN_TIMEOUT_S = 60.0
SECOND_SEARCH_SHARE = 0.8  # of the time that is left: what was found in the first place must still come back in time
UNCACHED = {"request_cache": "false"}
SCAN_PAGE = 1_000
NO_GRAPH = "not built for ANN"
OPEN_ONLY = {"ignore_unavailable": "true"}  # else an alias or a list with a closed index in it is refused


class RestIndex:
    """One index of Elasticsearch or OpenSearch."""

    def __init__(
        self,
        name: str,
        schema: IndexSchema,
        client: Client,
        dialect: Dialect,
        *,
        view: View,
        place: WritePlace,
        form: VectorForm,
        max_chunk_bytes: int,
        timeout_s: float,
    ) -> None:
        self.name = name
        self.schema = schema
        self._client = client
        self._dialect = dialect
        self._max_chunk_bytes = max_chunk_bytes
        self._timeout_s = timeout_s
        self._view = view
        self._place = place
        self.form = form
        self._for_caller = False
        self._at: PointInTime | None = None  # the present
        self._added: set[str] = set()  # by a back-fill since the mapping was read, as far as hits have shown it
        self._knn = True  # the engine has a graph of the vectors, as far as is known

    async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
        self._check_one()
        form = self.form
        outcomes = await self._write(documents, form)
        if form is not as_base64:
            return outcomes
        refused = [at for at, outcome in enumerate(outcomes) if outcome.error and not outcome.retryable]
        if refused:  # by a node of an earlier version, while the cluster is upgraded, or for what is in the document
            again = await self._write([documents[at] for at in refused], as_floats)
            for at, outcome in zip(refused, again, strict=True):
                outcomes[at] = outcome
            if any(outcome.error is None for outcome in again):
                self.form = as_floats
        return outcomes

    async def _write(self, documents: Sequence[IndexedDocument], form: VectorForm) -> list[WriteOutcome]:
        return await self._bulk(
            build_bulk(documents, self.schema, form), [indexed.document.doc_id for indexed in documents]
        )

    async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
        self._check_one()
        return await self._bulk(build_removal(doc_ids), doc_ids)

    def check_lexical(self, query: LexicalQuery, page: PageRequest | None = None) -> None:
        query.boosts(self.schema)

    async def lexical(
        self,
        query: LexicalQuery,
        *,
        depth: int,
        filter: Filter | None,
        timeout_s: float,
        passages: int = 1,
        page: PageRequest | None = None,
    ) -> LexicalAnswer:
        body = build_lexical(self.schema, query, depth, filter, passages, page)
        scale = 1.0 if uses_scores(query, page) else self._dialect.scale
        reply = await self._hits(magnify(body, scale), timeout_s)
        return read_lexical(reply, self.schema, depth, page, scale)

    @property
    def results_page(self) -> RestResultsPage:
        return RestResultsPage(self.name, self.schema, self._client, self.ask)

    async def dense(
        self,
        vector: Vector,
        *,
        depth: int,
        filter: Filter | None,
        timeout_s: float,
        field: str | None = None,
        passages: int = 1,
        note: Callable[[str], None] = ignore,
    ) -> Ranking:
        schema = self.schema.searched_by(field)
        if schema.why_no_dense:
            raise ClusterError(schema.why_no_dense)
        end = time.monotonic() + timeout_s
        # an alias's filter is put to the kNN search, since OpenSearch applies it only to what that has found
        all_of = [build_index_filter(filter, schema), self._view.filter, build_fitting(schema)]
        filters = [query for query in all_of if query]
        filter_query = {"bool": {"filter": filters}} if len(filters) > 1 else next(iter(filters), None)
        asked = (schema, vector, depth, filter_query, passages)
        exact = self._dialect.exact_body(*asked)
        hits = await self._nearest(self._dialect.dense_body(*asked), exact, depth, end)
        if exact and len(hits) < depth and self._knn and (self._client.has_credentials or not self._view.whole):

            async def search(body: JSON) -> Ranking:
                return await self._search(body, depth, (end - time.monotonic()) * SECOND_SEARCH_SHARE)

            hits = await fill_up(
                hits,
                depth,
                count=partial(self._count, schema, filter_query, end),
                exact=partial(search, exact),
                deeper=lambda k: search(self._dialect.dense_body(*asked, k)),
                note=note,
            )
        return tuple(Hit(hit.doc_id, self._dialect.cosine(hit.score, schema), hit.passages) for hit in hits)

    async def _nearest(self, body: JSON, exact: JSON | None, depth: int, end: float) -> Ranking:
        """The nearest documents by the engine's graph; by comparing all where it has none (OpenSearch without
        index.knn)."""
        if self._knn or exact is None:
            try:
                return await self._search(body, depth, end - time.monotonic())
            except ClusterError as error:
                if exact is None or NO_GRAPH not in str(error):
                    raise
                self._knn = False
        return await self._search(exact, depth, end - time.monotonic())

    async def get(
        self,
        doc_ids: Sequence[str],
        *,
        fields: Iterable[str] | None,
        timeout_s: float,
        source: SourceFilter | None = None,
    ) -> dict[str, dict[str, Any]]:
        if not doc_ids:
            return {}
        if fields is None:
            reply = await self.ask(build_fields(self.schema, doc_ids, source, added=sorted(self._added)), timeout_s)
            self._added |= added_to(reply, self.schema)
            return {
                read_doc_id(hit, self.schema): read_fields(hit, self.schema, source) for hit in reply["hits"]["hits"]
            }
        if not self.schema.managed or self.schema.layout.members.names:  # which _mget needs more than an id to find
            contents = await self.get(doc_ids, fields=None, timeout_s=timeout_s)
            wanted = set(fields)
            return {doc_id: {name: found[name] for name in wanted & found.keys()} for doc_id, found in contents.items()}
        params = {"_source_includes": ",".join(names_to_read(self.schema, list(fields)))}
        reply = await self._client.request(
            "POST", index_path(self.name, "_mget"), body={"ids": list(doc_ids)}, params=params, timeout_s=timeout_s
        )
        return {doc["_id"]: to_original(doc["_source"], self.schema) for doc in reply["docs"] if doc.get("found")}

    async def content(
        self,
        doc_ids: Sequence[str],
        *,
        query: str | None,
        vector: Vector | None,
        timeout_s: float,
        source: SourceFilter | None = None,
    ) -> dict[str, HitContent]:
        if not doc_ids:
            return {}
        body = build_contents(self._dialect, self.schema, doc_ids, query, vector, source, sorted(self._added))
        reply = await self.ask(body, timeout_s)
        self._added |= added_to(reply, self.schema)
        return read_contents(reply, self.schema, source)

    async def scan(self) -> AsyncIterator[tuple[str, str]]:
        body = {"size": SCAN_PAGE, "_source": ["content_hash"], "sort": ["_doc"]}
        page = await self._client.request(
            "POST", index_path(self.name, "_search"), body=body, params={"scroll": "2m"}, timeout_s=self._timeout_s
        )
        try:
            while hits := page["hits"]["hits"]:
                for hit in hits:
                    yield hit["_id"], hit["_source"].get("content_hash", "")
                page = await self._client.request(
                    "POST",
                    "/_search/scroll",
                    body={"scroll": "2m", "scroll_id": page["_scroll_id"]},
                    timeout_s=self._timeout_s,
                )
        finally:
            body = {"scroll_id": page["_scroll_id"]}
            await self._client.request("DELETE", "/_search/scroll", body=body, timeout_s=self._timeout_s)

    async def term_statistics(self, text: str, *, timeout_s: float) -> TermStatistics:
        if self._for_caller or not self._view.whole or self.schema.layout.places.keys() - self.schema.layout.analyzed:
            return await self._count_words(text, timeout_s)
        end = time.monotonic() + timeout_s
        # a fixed routing keeps to one shard, so that the same query always gets the same weights
        try:
            reply = await self._client.request(
                "POST",
                index_path(self.name, "_termvectors"),
                body=build_term_statistics(self.schema, text),
                params={"routing": "0"},
                timeout_s=timeout_s,
            )
        except (AccessDenied, ClusterUnavailable):
            raise
        except ClusterError:  # of an index that is not ours, a field may be of a type that it cannot take apart
            if self.schema.managed:
                raise
            return await self._count_words(text, end - time.monotonic())
        return in_characters(read_term_statistics(reply), text)

    async def _count_words(self, text: str, timeout_s: float) -> TermStatistics:
        found = find_words(text)
        words = list(dict.fromkeys(word for _, _, word in found))
        if not words:
            return TermStatistics(0, ())
        reply = await self.ask(build_word_counts(self.schema, words), timeout_s, **UNCACHED)
        documents, counts = read_word_counts(reply, words)
        terms = (TermFrequency(start, end, counts[word]) for start, end, word in found if word in counts)
        return TermStatistics(documents, tuple(terms))

    def as_caller(self, credentials: Credentials) -> RestIndex:
        other = copy.copy(self)
        other._client = self._client.as_caller(credentials)
        other._for_caller = True
        return other

    def looks_like(self, other: RestIndex) -> bool:
        """Whether both show the same of what is behind their name."""
        return self.schema == other.schema and self._view == other._view

    def asked_by(self, client: Client) -> RestIndex:
        """The same index, asked through another client, on behalf of whoever that stands for."""
        other = copy.copy(self)
        other._client = client
        other._for_caller = True
        return other

    async def open_view(self, keep_s: int, *, timeout_s: float) -> str:
        calls = self._dialect.views
        path = search_path(self.name, calls.open)
        params = {"keep_alive": f"{keep_s}s"} | (OPEN_ONLY if self.schema.layout.members.closed else {})
        reply = await self._client.request("POST", path, params=params, timeout_s=timeout_s)
        return str(reply[calls.name])

    async def as_of(self, view: str, keep_s: int) -> RestIndex:
        other = copy.copy(self)
        other._at = PointInTime(view, keep_s)
        return other

    @property
    def view(self) -> str:
        return self._at.view if self._at else ""

    async def lexical_after(
        self, query: LexicalQuery, mark: Mark, *, depth: int, filter: Filter | None, timeout_s: float
    ) -> tuple[MarkedHit, ...]:
        scale = 1.0 if uses_scores(query, None) else self._dialect.scale
        body = magnify(build_lexical(self.schema, query, depth, filter, 0), scale)
        rest = build_rest(body, self.schema, mark, scale, self._dialect.views.ties)
        return read_rest(await self._hits(rest, timeout_s), self.schema, scale)

    async def close_view(self, *, timeout_s: float) -> None:
        calls = self._dialect.views
        await self._client.request("DELETE", calls.close, body=calls.closing(self.view), timeout_s=timeout_s)

    async def finish(self) -> None:
        try:
            await self._client.request("POST", index_path(self.name, "_refresh"), timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError as error:
            raise await self._place.explain(error) from error

    async def _search(self, body: JSON, depth: int, timeout_s: float) -> Ranking:
        scale = self._dialect.scale
        return read_hits(await self._hits(magnify(body, scale), timeout_s), self.schema, depth, scale)

    async def _hits(self, body: JSON, timeout_s: float) -> JSON:
        """The reply to a leg, in which each hit has its id."""
        end = time.monotonic() + timeout_s
        reply = await self.ask(body, timeout_s)
        return reply if has_ids(reply) else await self.ask(with_stored_ids(body), end - time.monotonic())

    async def _count(self, schema: IndexSchema, filter_query: JSON | None, end: float, limit: int) -> int:
        left_s = (end - time.monotonic()) * SECOND_SEARCH_SHARE
        reply = await self.ask(build_count(schema, filter_query, limit), left_s, **UNCACHED)
        return int(reply["hits"]["total"]["value"])

    async def ask(self, body: JSON, timeout_s: float, **params: str) -> JSON:
        """The reply to a `_search`, in which no shard failed."""
        if self._at:
            return await self._ask_view(self._at, body, timeout_s, params)
        path = search_path(self.name, "_search")
        params = params | (OPEN_ONLY if self.schema.layout.members.closed else {})
        return self._checked(await self._client.request("POST", path, body=body, params=params, timeout_s=timeout_s))

    async def _ask_view(self, at: PointInTime, body: JSON, timeout_s: float, params: Mapping[str, str]) -> JSON:
        """The same of a state that stands still."""
        try:
            reply = self._checked(
                await self._client.request("POST", "/_search", body=at.within(body), params=params, timeout_s=timeout_s)
            )
        except ClusterError as error:
            raise lost(self.name, error) or error from error
        at.follow(reply)
        return reply

    def _checked(self, reply: JSON) -> JSON:
        failures = reply.get("_shards", {}).get("failures")
        if failures:
            status = int(failures[0].get("status", 500))
            raise ClusterError(f"a shard of {self.name!r} failed: {explain_reason(failures[0].get('reason'), status)}")
        return reply

    def _check_one(self) -> None:
        if members := self.schema.layout.members.names:
            raise SettingsError(
                f"{self.name!r} stands for several indices ({', '.join(members[:5])}), which are searched and not "
                "written to; name one of them"
            )

    async def _bulk(self, actions: Sequence[bytes], doc_ids: Sequence[str]) -> list[WriteOutcome]:
        await self._place.begin()
        writer = BulkWriter(self._client, self._place, self._max_chunk_bytes, self._timeout_s)
        return await writer.write(actions, doc_ids)
