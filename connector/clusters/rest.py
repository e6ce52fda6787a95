"""Elasticsearch and OpenSearch: one code path over the official clients; a dialect holds the JSON that differs."""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from connector.clusters.clients import Client
from connector.clusters.dialect import (
    JSON,
    Dialect,
    build_bulk,
    build_count,
    build_fields,
    build_filter,
    build_lexical,
    build_removal,
    build_shown,
    build_term_statistics,
    build_word_counts,
    find_words,
    has_ids,
    in_characters,
    magnify,
    read_fates,
    read_hits,
    read_shown,
    read_term_statistics,
    read_word_counts,
    with_stored_ids,
)
from connector.clusters.hidden_hits import fill_up
from connector.clusters.mapping import build_index, read_metadata_types
from connector.clusters.original_text import names_to_read, to_original
from connector.clusters.protocol import Engine, ForeignFields, ignore
from connector.credentials import Credentials
from connector.errors import ClusterError, IndexExists, IndexMissing, SettingsError
from connector.filters import Filter
from connector.schema import Fields, IndexSchema
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
SHORTFALL_SHARE = 0.8  # of the time that is left: what was found in the first place must still come back in time
UNCACHED = {"request_cache": "false"}
SCAN_PAGE = 1_000
MAX_CHUNK_ACTIONS = 500


class RestCluster:
    """A connection to Elasticsearch or OpenSearch."""

    def __init__(
        self, client: Client, dialect: Dialect, engine: Engine, *, url: str, max_chunk_bytes: int, timeout_s: float
    ) -> None:
        self.engine = engine
        self._client = client
        self._dialect = dialect
        self._url = url
        self._max_chunk_bytes = max_chunk_bytes
        self._timeout_s = timeout_s

    @property
    def client(self) -> Client:
        """For what the protocol does not ask: see `examination`."""
        return self._client

    @property
    def url(self) -> str:
        return self._url

    async def create_index(self, name: str, schema: IndexSchema) -> RestIndex:
        schema.fields.check_names()
        body = build_index(self._dialect.kind, schema)
        try:
            await self._client.request("PUT", _path(name), body=body, timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError as error:
            if error.status == 400 and "already exists" in str(error):
                raise IndexExists(name) from error
            raise
        return self._index(name, schema)

    async def open_index(self, name: str, foreign: ForeignFields | None = None) -> RestIndex:
        reply = await self._named(name, "GET", "_mapping")
        if len(reply) != 1:
            raise SettingsError(f"{name!r} stands for {len(reply)} indices; name exactly one index or an alias of one")
        mapping = next(iter(reply.values()))["mappings"]
        schema = IndexSchema.from_meta(mapping.get("_meta", {}))
        if schema is None:
            schema = self._foreign_schema(name, mapping.get("properties", {}), foreign)
        return self._index(name, schema)

    async def drop_index(self, name: str) -> None:
        await self._named(name, "DELETE")

    async def count(self, name: str) -> int:
        reply = await self._named(name, "GET", "_count")
        return int(reply["count"])

    async def close(self) -> None:
        await self._client.close()

    def _index(self, name: str, schema: IndexSchema) -> RestIndex:
        return RestIndex(
            name, schema, self._client, self._dialect, max_chunk_bytes=self._max_chunk_bytes, timeout_s=self._timeout_s
        )

    async def _named(self, name: str, method: str, action: str = "") -> JSON:
        try:
            return await self._client.request(method, _path(name, action), timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError as error:
            if error.status == 404:
                raise IndexMissing(name, self._url) from error
            raise

    def _foreign_schema(self, name: str, properties: JSON, foreign: ForeignFields | None) -> IndexSchema:
        """The schema of an index that is not ours, from the field names given and its mapping."""
        flat = dict(_walk(properties))
        texts = [field for field, mapping in flat.items() if mapping.get("type") in ("text", "match_only_text")]
        vectors = {
            field: found for field, mapping in flat.items() if (found := self._dialect.read_vector_field(mapping))
        }
        if foreign is None or not foreign.text:
            raise SettingsError(
                f"index {name!r} was not made by the connector; name its fields to search it: index.text_fields "
                f"(it has: {', '.join(texts) or 'no text field'}) and index.vector_field (it has: {', '.join(vectors) or 'none'})"
            )
        missing = [field for field in foreign.text if field not in flat]
        if missing:
            raise SettingsError(
                f"index {name!r} has no field {missing[0]!r}; its text fields: {', '.join(texts) or 'none'}"
            )
        if foreign.vector is not None and foreign.vector not in vectors:
            raise SettingsError(
                f"index {name!r} has no vector field {foreign.vector!r}; it has: {', '.join(vectors) or 'none'}"
            )
        dims, similarity = vectors[foreign.vector] if foreign.vector else (0, "cosine")
        metadata = {field: kind for field, kind in read_metadata_types(properties).items() if field not in foreign.text}
        return IndexSchema(
            fields=Fields(text=foreign.text, metadata=metadata),
            encoder=None,
            managed=False,
            vector_field=foreign.vector,
            dims=dims,
            similarity=similarity,
        )


class RestIndex:
    """One index of Elasticsearch or OpenSearch."""

    def __init__(
        self,
        name: str,
        schema: IndexSchema,
        client: Client,
        dialect: Dialect,
        *,
        max_chunk_bytes: int,
        timeout_s: float,
    ) -> None:
        self.name = name
        self.schema = schema
        self._client = client
        self._dialect = dialect
        self._max_chunk_bytes = max_chunk_bytes
        self._timeout_s = timeout_s
        self._for_caller = False

    async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
        return await self._bulk(
            build_bulk(self.name, documents, self.schema),
            [one.document.doc_id for one in documents],
        )

    async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
        return await self._bulk(build_removal(self.name, doc_ids), doc_ids)

    async def lexical(
        self, query: str, *, depth: int, filter: Filter | None, timeout_s: float, passages: int = 1
    ) -> Ranking:
        return await self._search(build_lexical(self.schema, query, depth, filter, passages), depth, timeout_s)

    async def dense(
        self,
        vector: Vector,
        *,
        depth: int,
        filter: Filter | None,
        timeout_s: float,
        passages: int = 1,
        note: Callable[[str], None] = ignore,
    ) -> Ranking:
        end = time.monotonic() + timeout_s
        filter_query = build_filter(filter, self.schema.fields.metadata) if filter else None
        asked = (self.schema, vector, depth, filter_query, passages)
        hits = await self._search(self._dialect.dense_body(*asked), depth, timeout_s)
        exact = self._dialect.exact_body(*asked)
        if exact and self._client.has_credentials and len(hits) < depth:

            async def search(body: JSON) -> Ranking:
                return await self._search(body, depth, (end - time.monotonic()) * SHORTFALL_SHARE)

            hits = await fill_up(
                hits,
                depth,
                count=partial(self._count, filter_query, end),
                exact=partial(search, exact),
                deeper=lambda k: search(self._dialect.dense_body(*asked, k)),
                note=note,
            )
        return tuple(
            Hit(hit.doc_id, self._dialect.cosine(hit.score, self.schema.similarity), hit.passages) for hit in hits
        )

    async def get(
        self, doc_ids: Sequence[str], *, fields: Iterable[str] | None, timeout_s: float
    ) -> dict[str, dict[str, Any]]:
        if not doc_ids:
            return {}
        if fields is None:
            reply = await self._ask(build_fields(self.schema, doc_ids), timeout_s)
            return {hit["_id"]: to_original(hit["_source"], self.schema) for hit in reply["hits"]["hits"]}
        params = {"_source_includes": ",".join(names_to_read(self.schema, list(fields)))}
        reply = await self._client.request(
            "POST", _path(self.name, "_mget"), body={"ids": list(doc_ids)}, params=params, timeout_s=timeout_s
        )
        return {doc["_id"]: to_original(doc["_source"], self.schema) for doc in reply["docs"] if doc.get("found")}

    async def content(
        self, doc_ids: Sequence[str], *, query: str | None, vector: Vector | None, timeout_s: float
    ) -> dict[str, HitContent]:
        if not doc_ids:
            return {}
        reply = await self._ask(build_shown(self._dialect, self.schema, doc_ids, query, vector), timeout_s)
        return read_shown(reply, self.schema)

    async def scan(self) -> AsyncIterator[tuple[str, str]]:
        body = {"size": SCAN_PAGE, "_source": ["content_hash"], "sort": ["_doc"]}
        page = await self._client.request(
            "POST", _path(self.name, "_search"), body=body, params={"scroll": "2m"}, timeout_s=self._timeout_s
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
        if self._for_caller:
            return await self._count_words(text, timeout_s)
        # a fixed routing keeps to one shard, so that the same query always gets the same weights
        reply = await self._client.request(
            "POST",
            _path(self.name, "_termvectors"),
            body=build_term_statistics(self.schema, text),
            params={"routing": "0"},
            timeout_s=timeout_s,
        )
        return in_characters(read_term_statistics(reply), text)

    async def _count_words(self, text: str, timeout_s: float) -> TermStatistics:
        found = find_words(text)
        words = list(dict.fromkeys(word for _, _, word in found))
        if not words:
            return TermStatistics(0, ())
        reply = await self._ask(build_word_counts(self.schema, words), timeout_s, **UNCACHED)
        documents, counts = read_word_counts(reply, words)
        terms = (TermFrequency(start, end, counts[word]) for start, end, word in found if word in counts)
        return TermStatistics(documents, tuple(terms))

    def as_caller(self, credentials: Credentials) -> RestIndex:
        other = copy.copy(self)
        other._client = self._client.as_caller(credentials)
        other._for_caller = True
        return other

    async def finish(self) -> None:
        await self._client.request("POST", _path(self.name, "_refresh"), timeout_s=ADMIN_TIMEOUT_S)

    async def _search(self, body: JSON, depth: int, timeout_s: float) -> Ranking:
        scale, end = self._dialect.scale, time.monotonic() + timeout_s
        body = magnify(body, scale)
        reply = await self._ask(body, timeout_s)
        if not has_ids(reply):
            reply = await self._ask(with_stored_ids(body), end - time.monotonic())
        return read_hits(reply, self.schema, depth, scale)

    async def _count(self, filter_query: JSON | None, end: float, limit: int) -> int:
        left_s = (end - time.monotonic()) * SHORTFALL_SHARE
        reply = await self._ask(build_count(self.schema, filter_query, limit), left_s, **UNCACHED)
        return int(reply["hits"]["total"]["value"])

    async def _ask(self, body: JSON, timeout_s: float, **params: str) -> JSON:
        """The reply to a `_search`, in which no shard failed."""
        path = _path(self.name, "_search")
        reply = await self._client.request("POST", path, body=body, params=params, timeout_s=timeout_s)
        failures = reply.get("_shards", {}).get("failures")
        if failures:
            raise ClusterError(
                f"a shard of {self.name!r} failed: {failures[0].get('reason', {}).get('reason', failures[0])}"
            )
        return reply

    async def _bulk(self, actions: Sequence[bytes], doc_ids: Sequence[str]) -> list[WriteOutcome]:
        fates: list[WriteOutcome] = []
        for start, end in _chunks(actions, self._max_chunk_bytes):
            fates += await self._send(actions[start:end], doc_ids[start:end])
        return fates

    async def _send(self, actions: Sequence[bytes], doc_ids: Sequence[str]) -> list[WriteOutcome]:
        try:
            return read_fates(await self._client.bulk(self.name, actions, timeout_s=self._timeout_s), doc_ids)
        except ClusterError as error:
            if error.status == 429 and len(actions) == 1 and len(actions[0]) > self._max_chunk_bytes:
                return [WriteOutcome(doc_ids[0], str(error), retryable=True)]  # may be too large for the node for good
            if error.status != 413:
                raise
            if len(actions) == 1:
                return [
                    WriteOutcome(
                        doc_ids[0], f"the cluster takes no request of {len(actions[0])} bytes (http.max_content_length)"
                    )
                ]
        middle = len(actions) // 2
        return await self._send(actions[:middle], doc_ids[:middle]) + await self._send(
            actions[middle:], doc_ids[middle:]
        )


def _chunks(actions: Sequence[bytes], max_bytes: int) -> Iterator[tuple[int, int]]:
    """Bounds of bulk chunks: at most `max_bytes` and MAX_CHUNK_ACTIONS each, at least one action."""
    start = size = 0
    for position, action in enumerate(actions):
        if position > start and (size + len(action) > max_bytes or position - start == MAX_CHUNK_ACTIONS):
            yield start, position
            start, size = position, 0
        size += len(action)
    if start < len(actions):
        yield start, len(actions)


def _path(index: str, action: str = "") -> str:
    """The path of exactly one index; raises SettingsError for a name that would stand for none or several."""
    if not index or index == "_all" or set(index) & set("*,<>"):
        raise SettingsError(f"{index!r} cannot be the name of one index; patterns and lists are not taken")
    return f"/{quote(index, safe='')}" + (f"/{action}" if action else "")


def _walk(properties: JSON, prefix: str = "") -> Iterator[tuple[str, JSON]]:
    for name, field in properties.items():
        yield prefix + name, field
        if "properties" in field and field.get("type") != "nested":
            yield from _walk(field["properties"], f"{prefix}{name}.")
