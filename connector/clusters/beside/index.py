"""One index for a search, made of two: somebody else's, which is not touched, and beside it one of ours with the
passages and vectors of its documents, joined by id.

Words, fields, counts, pages and term statistics come from theirs, what is near to a vector from ours. Ours may lag
behind, so theirs is asked about each document that ours finds: it counts only where it is there, may be seen, fulfils
the filter, and still has the text that its passages were cut from."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connector.clusters.beside.vectors_index import (
    VERSION_FIELDS,
    DocumentVersion,
    Origin,
    hash_texts,
    read_version,
    split_filter,
)
from connector.clusters.clients import Client
from connector.clusters.dialect import DOC_ID, JSON, ask_texts, build_filter, build_index_filter, magnify
from connector.clusters.protocol import ignore
from connector.clusters.reading.hits import read_doc_id, read_hits, read_texts
from connector.clusters.reading.results_page import of_documents
from connector.clusters.rest_index import SECOND_SEARCH_SHARE, RestIndex
from connector.credentials import Credentials
from connector.errors import AccessDenied, ClusterError, SettingsError
from connector.filters import Filter
from connector.schema import IndexSchema
from connector.source_filter import SourceFilter
from connector.types import Hit, HitContent, IndexedDocument, Ranking, Vector, WriteOutcome

MAX_K = 10_000  # the most that an engine brings of the nearest
WITH_PASSAGES = 500  # more of the nearest are looked through without their passages, which then come for those taken
MAX_NAMED = 2_000  # documents that a filter lets through, up to which the index of vectors is told their names
BY_VALUES: JSON = {"stored_fields": "_none_", "docvalue_fields": [DOC_ID, *VERSION_FIELDS]}
UUID_S = 1.0  # for so long theirs is taken for the index that it was when asked
COUNT_S = 60.0  # documents without vectors are counted so often


@dataclass(slots=True)
class CachedReadings:
    """How many documents had no vectors when they were last counted, and which index theirs was when last asked; shared
    by all views of an index."""

    counted: float = -math.inf
    missing: int = 0
    uuid: str = ""
    asked: float = -math.inf


@dataclass(slots=True)
class CheckedHits:
    """What theirs says of documents that ours found: those that are as they were, how many have another text by now,
    and how many are not there for this search."""

    current: set[str] = field(default_factory=set)
    changed: int = 0
    gone: int = 0


class BesideIndex(RestIndex):
    """An index of somebody else's, with its vectors in one of ours."""

    def __init__(
        self, theirs: RestIndex, vectors: RestIndex, origin: Origin, *, read_uuid: Callable[[float], Awaitable[str]]
    ) -> None:
        """`read_uuid` gives that of theirs as it is now, within so many seconds; empty where it could not be read."""
        vars(self).update(vars(theirs))
        made = vectors.schema
        self.schema: IndexSchema = replace(
            theirs.schema,
            encoder=made.encoder,
            passages=made.passages,
            vectors=made.vectors,
            vector_field=made.vector_field,
            dims=made.dims,
            similarity=made.similarity,
            layout=replace(theirs.schema.layout, vector=None),
        )
        self.vectors = vectors
        self.origin = origin
        self._read_uuid = read_uuid
        self.made_of = replace(theirs.schema, fields=replace(theirs.schema.fields, text=made.fields.text, metadata={}))
        self._cached = CachedReadings()

    @property
    def is_of_same_index(self) -> bool:
        """Whether theirs, when last asked, was the index that ours was made of. As long as it is, the number of a
        document's last write tells which state it is in: one that is made anew counts from the beginning."""
        return bool(self._cached.uuid) and self._cached.uuid == self.origin.uuid

    async def identify(self, *, timeout_s: float) -> None:
        """Ask which index theirs is, if that was not done just now."""
        if (now := time.monotonic()) - self._cached.asked > UUID_S:
            try:
                self._cached.uuid = await self._read_uuid(timeout_s)
            except ClusterError:  # texts are compared then
                self._cached.uuid = ""
            self._cached.asked = now

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
        if field not in (None, self.schema.vector_field):  # a field of theirs
            return await super().dense(
                vector, depth=depth, filter=filter, timeout_s=timeout_s, field=field, passages=passages, note=note
            )
        end = time.monotonic() + timeout_s
        checked = CheckedHits()
        hits = await self._confirmed(vector, depth, filter, passages, checked, note, end)
        missing = await self._count_missing(end)
        if lag := _describe(checked, missing, counts_gone=self._view.whole and not self._for_caller):
            note(f"{lag}, and found by words alone; connector backfill {self.origin.index} --beside sees to them")
        return hits

    async def content(
        self,
        doc_ids: Sequence[str],
        *,
        query: str | None,
        vector: Vector | None,
        timeout_s: float,
        source: SourceFilter | None = None,
    ) -> dict[str, HitContent]:
        end = time.monotonic() + timeout_s
        contents = await super().content(doc_ids, query=query, vector=None, timeout_s=timeout_s, source=source)
        if vector is None or not contents:
            return contents
        near = await self._ask_vectors(vector, len(contents), _named(list(contents)), 1, end)
        checked = CheckedHits()
        await self._check(checked, dict(_versions(near)), None, end)
        nearest = {hit.doc_id: hit.passages[0] for hit, _ in near if hit.passages and hit.doc_id in checked.current}
        return {doc_id: replace(found, nearest=nearest.get(doc_id, found.nearest)) for doc_id, found in
                contents.items()}  # fmt: skip

    async def read_versions(self, doc_ids: Sequence[str], *, timeout_s: float) -> dict[str, DocumentVersion]:
        """The state that each of those documents was made of that ours has."""
        if not doc_ids:
            return {}
        schema = self.vectors.schema
        reply = await self.vectors.ask(of_documents(schema, doc_ids) | BY_VALUES, timeout_s)
        found = {read_doc_id(hit, schema): read_version(hit) for hit in reply["hits"]["hits"]}
        return {doc_id: version for doc_id, version in found.items() if version}

    async def find_gone(self, doc_ids: Sequence[str], *, timeout_s: float) -> list[str]:
        """Those of the documents that theirs does not have."""
        if not doc_ids:
            return []
        reply = await self.ask(of_documents(self.schema, doc_ids) | {"_source": False}, timeout_s)
        existing = {read_doc_id(hit, self.schema) for hit in reply["hits"]["hits"]}
        return [doc_id for doc_id in doc_ids if doc_id not in existing]

    def as_caller(self, credentials: Credentials) -> BesideIndex:
        other = super().as_caller(credentials)
        assert isinstance(other, BesideIndex)
        other.vectors = self.vectors.as_caller(credentials)
        return other

    def asked_by(self, client: Client, credentials: Credentials | None = None) -> BesideIndex:
        other = super().asked_by(client)
        assert isinstance(other, BesideIndex)
        other.vectors = self.vectors.as_caller(credentials) if credentials else self.vectors
        return other

    def looks_like(self, other: RestIndex) -> bool:
        return (
            isinstance(other, BesideIndex)
            and super().looks_like(other)
            and self.origin == other.origin
            and self.vectors.looks_like(other.vectors)
        )

    async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
        raise SettingsError(f"index {self.name!r} is somebody else's, and is not written to; fill one of your own")

    async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
        raise SettingsError(f"index {self.name!r} is somebody else's; nothing is removed from it")

    async def _confirmed(
        self,
        vector: Vector,
        depth: int,
        found: Filter | None,
        passages: int,
        checked: CheckedHits,
        note: Callable[[str], None],
        end: float,
    ) -> Ranking:
        """The nearest documents that theirs confirms. More of the nearest are looked through where it does not confirm
        enough."""
        allowed = await self._allowed(found, end)
        k, hits, seen = depth, list[Hit](), set[str]()
        while True:
            brought = passages if k <= max(WITH_PASSAGES, depth) else 0
            try:
                near = await self._ask_vectors(vector, k, allowed, brought, end)
                new = {doc_id: version for doc_id, version in _versions(near) if doc_id not in seen}
                seen |= new.keys()
                await self._check(checked, new, found, end)
                hits = [hit for hit, _ in near if hit.doc_id in checked.current][:depth]
                if len(hits) >= depth or len(near) < k:
                    break
            except AccessDenied:
                raise
            except ClusterError as error:
                if not seen:
                    raise
                note(f"{len(hits)} of {depth} documents: no more could be had ({error})")
                break
            if k >= MAX_K:
                note(
                    f"{len(hits)} of {depth} documents: no more of the nearest {MAX_K:,} are let through by the "
                    "filter; copy its fields: connector backfill --beside --copy FIELD"
                )
                break
            k = min(MAX_K, max(2 * k, math.ceil(1.2 * depth * k / max(len(hits), 1))))
        if hits and passages and not brought:
            near = await self._ask_vectors(vector, len(hits), _named([hit.doc_id for hit in hits]), passages, end)
            texts = {hit.doc_id: hit.passages for hit, _ in near}
            hits = [hit._replace(passages=texts.get(hit.doc_id, ())) for hit in hits]
        return tuple(hits)

    async def _allowed(self, found: Filter | None, end: float) -> JSON | None:
        """What of the filter holds for ours: by the copied fields, or by the names of the documents that theirs lets
        through, where these are few."""
        if found is None and not self._view.filter:
            return None
        known, whole = split_filter(found, self.origin.copies) if found else (None, False)
        if not whole:
            named = await self._let_through(found, end)
            if named is not None:
                return _named(named)
        metadata = self.schema.fields.metadata
        types = {copy.name: metadata[name] for name, copy in self.origin.copies.items() if name in metadata}
        return build_filter(known, types) if known else None

    async def _let_through(self, found: Filter | None, end: float) -> list[str] | None:
        """The documents that theirs lets through; None where they are many."""
        only = build_index_filter(found, self.schema) or {"match_all": {}}
        body: JSON = {"query": {"bool": {"filter": [only]}}, "_source": False}
        counted = await self.ask(body | {"size": 0, "track_total_hits": MAX_NAMED + 1}, end - time.monotonic())
        total = int(counted["hits"]["total"]["value"])
        if total > MAX_NAMED:
            return None
        asked = body | {"size": max(total, 1), "track_total_hits": False}
        reply = await self.ask(asked, end - time.monotonic())
        return [read_doc_id(hit, self.schema) for hit in reply["hits"]["hits"]]

    async def _ask_vectors(
        self, vector: Vector, k: int, allowed: JSON | None, passages: int, end: float
    ) -> list[tuple[Hit, DocumentVersion | None]]:
        """The `k` nearest documents of ours by the cosine, each with the state that it was made of."""
        schema = self.vectors.schema
        body = self._dialect.dense_body(schema, vector, k, allowed, passages)
        body["docvalue_fields"] = [*body.get("docvalue_fields", ()), *VERSION_FIELDS]
        scale = self._dialect.scale
        reply = await self.vectors._hits(magnify(body, scale), end - time.monotonic())
        versions = {read_doc_id(hit, schema): read_version(hit) for hit in reply["hits"]["hits"]}
        ranking = read_hits(reply, schema, k, scale)
        cosine = self._dialect.cosine
        return [(hit._replace(score=cosine(hit.score, schema)), versions[hit.doc_id]) for hit in ranking]

    async def _check(
        self, checked: CheckedHits, versions: Mapping[str, DocumentVersion | None], found: Filter | None, end: float
    ) -> None:
        """Ask theirs which of the documents are there, fulfil the filter, and are in that state."""
        if not versions:
            return
        await self.identify(timeout_s=end - time.monotonic())
        body = of_documents(self.schema, list(versions)) | {"_source": False, "seq_no_primary_term": True}
        if found:
            body["query"]["bool"]["filter"].append(build_index_filter(found, self.schema))
        reply = await self.ask(body, end - time.monotonic())
        written = {
            read_doc_id(hit, self.schema): (hit.get("_seq_no"), hit.get("_primary_term"))
            for hit in reply["hits"]["hits"]
        }
        doubtful = [doc_id for doc_id, at in written.items() if not self._is_at(at, versions[doc_id])]
        checked.gone += len(versions) - len(written)
        checked.current |= written.keys() - set(doubtful)
        if not doubtful:
            return
        asked = of_documents(self.schema, doubtful) | ask_texts(self.made_of)
        reply = await self.ask(asked, end - time.monotonic())
        for hit in reply["hits"]["hits"]:
            version = versions.get(read_doc_id(hit, self.schema))
            if version and hash_texts(read_texts(hit, self.made_of)) == version.content_hash:
                checked.current.add(read_doc_id(hit, self.schema))
        checked.changed += sum(doc_id not in checked.current for doc_id in doubtful)

    def _is_at(self, at: tuple[int | None, int | None], version: DocumentVersion | None) -> bool:
        return self.is_of_same_index and version is not None and at == (version.seq_no, version.primary_term)

    async def _count_missing(self, end: float) -> int:
        """How many documents of theirs are not among ours, once in a while; 0 where that is not to be known."""
        if self._for_caller or not self._view.whole or self._at:
            return 0
        now = time.monotonic()
        if now - self._cached.counted > COUNT_S:
            self._cached.counted = now
            body: JSON = {"size": 0, "track_total_hits": True}
            try:
                counts = [
                    int((await index.ask(body, (end - now) * SECOND_SEARCH_SHARE / 2))["hits"]["total"]["value"])
                    for index in (self, self.vectors)
                ]
            except ClusterError:
                return 0  # it would have been a note, no more
            self._cached.missing = max(counts[0] - counts[1], 0)
        return self._cached.missing


def _named(doc_ids: Sequence[str]) -> JSON:
    return {"ids": {"values": list(doc_ids)}}


def _versions(near: Sequence[tuple[Hit, DocumentVersion | None]]) -> list[tuple[str, DocumentVersion | None]]:
    return [(hit.doc_id, version) for hit, version in near]


def _describe(checked: CheckedHits, missing: int, *, counts_gone: bool) -> str:
    """How far ours is behind, as far as this search has seen it; empty where that hides nothing from it."""
    parts = []
    if checked.changed:
        gone = f" ({checked.gone} more are gone)" if checked.gone and counts_gone else ""
        parts.append(f"{checked.changed} of the nearest documents have another text than their vectors{gone}")
    if missing:
        parts.append(f"{missing} documents have no vectors yet")
    return "; ".join(parts)
