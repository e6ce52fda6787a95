"""One index of the embedded store: searched, read and written."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import BTree
from lancedb.query import BooleanQuery, FullTextQuery, MatchQuery, Occur

from connector.clusters.embedded.columns import arrow_schema, words_column
from connector.clusters.embedded.reasons import LANCE_ERRORS, explain_lance, explaining
from connector.clusters.embedded.results_page import (
    EmbeddedResultsPage,
    build_page,
    check_page,
    collapse_rows,
    page_columns,
)
from connector.clusters.embedded.same_table import checkout_latest, is_gone
from connector.clusters.embedded.sorting import read_sort, sort_rows
from connector.clusters.embedded.sql import any_of, build_sql
from connector.clusters.embedded.words import (
    split_for_index,
    split_for_query,
    stemmer,
    word_stems,
    words_with_stems,
)
from connector.clusters.embedded.write_lock import WriteLock
from connector.clusters.protocol import SearchableIndex, ignore, ordered
from connector.credentials import Credentials
from connector.errors import ClusterError, ClusterUnavailable, CredentialsError, IndexGone, QueryError, ViewLost
from connector.filters import Filter
from connector.lexical import LexicalAnswer, LexicalQuery, Mark, MarkedHit, PageRequest
from connector.schema import IndexSchema
from connector.source_filter import SourceFilter
from connector.text import normalise_text
from connector.types import (
    Hit,
    HitContent,
    IndexedDocument,
    Passage,
    Ranking,
    TermFrequency,
    TermStatistics,
    Vector,
    WriteOutcome,
)

log = logging.getLogger(__name__)
TERMS_SUFFIX = "--terms"
TERMS_COLUMNS: dict[str, pa.DataType] = {"term": pa.string(), "documents": pa.int64()}


class EmbeddedIndex:
    """One index: a Lance table with a row for each document."""

    def __init__(
        self,
        name: str,
        schema: IndexSchema,
        table: lancedb.AsyncTable,
        connection: lancedb.AsyncConnection,
        lock: WriteLock,
        table_id: bytes,
    ) -> None:
        """`table_id` is what the table was found to have."""
        self.name = name
        self.schema = schema
        self._table = table
        self._connection = connection
        self._lock = lock
        self._table_id = table_id
        self.view = ""  # the present

    @property
    def table(self) -> lancedb.AsyncTable:
        return self._table

    async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
        if not documents:
            return []
        rows = pa.Table.from_pylist([self._row(document) for document in documents], schema=arrow_schema(self.schema))
        async with self._writing():
            merge = self._table.merge_insert("doc_id").when_matched_update_all().when_not_matched_insert_all()
            await merge.execute(rows)
        return [WriteOutcome(document.document.doc_id) for document in documents]

    async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
        if doc_ids:
            async with self._writing():
                await self._table.delete(any_of("doc_id", doc_ids))
        return [WriteOutcome(doc_id) for doc_id in doc_ids]

    def check_lexical(self, query: LexicalQuery, page: PageRequest | None = None) -> None:
        if query.own is not None:
            raise QueryError(
                "the embedded store has no query language of its own, so it takes no engine's query; "
                "give the query's text, or search Elasticsearch or OpenSearch"
            )
        if page:
            check_page(page, self.schema)
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
        self.check_lexical(query, page)
        end = time.monotonic() + timeout_s
        if page and page.sort is not None:
            return await self._sorted(query, depth, filter, passages, page, timeout_s)
        words = words_with_stems(query.text, self.schema.analyzer)
        columns = ["doc_id", "_score", *(["passages"] if passages else [])]
        rows = await self._rows(self._matching(query, depth, columns), filter, timeout_s) if words else []
        ranking = ordered((Hit(row["doc_id"], row["_score"], _best_by_words(row, words)) for row in rows), depth)
        if page is None:
            return LexicalAnswer(ranking)
        left_s = end - time.monotonic()
        return LexicalAnswer(ranking, await self.results_page.beside(query, page, filter=filter, timeout_s=left_s))

    def _matching(self, query: LexicalQuery, limit: int, columns: Sequence[str]) -> Any:
        """The search for the best rows by the words of the query."""
        matches: list[tuple[Occur, FullTextQuery]] = [
            (Occur.SHOULD, MatchQuery(split_for_query(query.text), words_column(name), boost=boost))
            for name, boost in query.boosts(self.schema).items()
        ]
        return self._table.query().nearest_to_text(BooleanQuery(matches)).limit(limit).select([*columns])

    async def matching_rows(
        self, query: LexicalQuery, filter: Filter | None, columns: Sequence[str], timeout_s: float
    ) -> list[dict[str, Any]]:
        """Those columns of all rows that match, with their ids and scores."""
        if not words_with_stems(query.text, self.schema.analyzer):
            return []
        search = self._matching(query, await self._table.count_rows() + 1, ["doc_id", "_score", *columns])
        return await self._rows(search, filter, timeout_s)

    async def rows_of(self, doc_ids: Sequence[str], columns: Sequence[str], timeout_s: float) -> list[dict[str, Any]]:
        """Those columns of the rows with these ids."""
        if not doc_ids:
            return []
        search = self._table.query().where(any_of("doc_id", doc_ids)).select(["doc_id", *columns])
        return await self._rows(search.limit(len(doc_ids)), None, timeout_s)

    @property
    def results_page(self) -> EmbeddedResultsPage:
        return EmbeddedResultsPage(self)

    async def _sorted(
        self,
        query: LexicalQuery,
        depth: int,
        filter: Filter | None,
        passages: int,
        page: PageRequest,
        timeout_s: float,
    ) -> LexicalAnswer:
        """The first rows in the order that was asked for."""
        end = time.monotonic() + timeout_s
        rows = await self.matching_rows(query, filter, page_columns(page, self.schema), timeout_s)
        in_order = sort_rows(rows, read_sort(page.sort, self.schema))
        first = (collapse_rows(in_order, page.collapse) if page.collapse else in_order)[:depth]
        asked = [row["doc_id"] for row in first] if passages else []
        texts = {row["doc_id"]: row for row in await self.rows_of(asked, ["passages"], end - time.monotonic())}
        words = words_with_stems(query.text, self.schema.analyzer)
        hits = (Hit(row["doc_id"], row["_score"], _best_by_words(texts.get(row["doc_id"], {}), words)) for row in first)
        return LexicalAnswer(tuple(hits), build_page(rows, page, self.schema))

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
        self.schema.searched_by(field)  # there is one
        search = (
            self._table.query().nearest_to(_to_arrow(vector)).column("vectors").distance_type("cosine").limit(depth)
            .select(["doc_id", "vectors", "_distance", *(["passages"] if passages else [])])
        )  # fmt: skip
        rows = await self._rows(search, filter, timeout_s)
        return ordered((_nearest(row, vector, passages) for row in rows if row["vectors"]), depth)

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
        names = self._shown_names(source) if fields is None else list(fields)
        rows = await self.rows_of(doc_ids, names, timeout_s)
        return {row.pop("doc_id"): self._fields(row, source) for row in rows}

    async def content(
        self,
        doc_ids: Sequence[str],
        *,
        query: str | None,
        vector: Vector | None,
        timeout_s: float,
        source: SourceFilter | None = None,
    ) -> dict[str, HitContent]:
        names = self._shown_names(source)
        words = words_with_stems(query, self.schema.analyzer) if query else None
        contents = {}
        for row in await self.rows_of(doc_ids, ["passages", "vectors", *names], timeout_s):
            nearest = _nearest(row, vector, 1).passages if vector is not None and row["vectors"] else ()
            fields = self._fields({name: row[name] for name in names}, source)
            matching = _best_by_words(row, words) if words is not None else ()
            contents[row["doc_id"]] = HitContent(fields, next(iter(nearest), None), next(iter(matching), None))
        return contents

    async def scan(self) -> AsyncIterator[tuple[str, str]]:
        async for batch in await self._table.query().select(["doc_id", "content_hash"]).to_batches():
            for doc_id, content_hash in zip(
                batch["doc_id"].to_pylist(), batch["content_hash"].to_pylist(), strict=True
            ):
                yield doc_id, content_hash

    async def term_statistics(self, text: str, *, timeout_s: float) -> TermStatistics:
        spans = list(word_stems(text, self.schema.analyzer))
        words = sorted({word for _, _, word in spans})
        try:
            terms = await self._connection.open_table(self.name + TERMS_SUFFIX)
        except LANCE_ERRORS as error:
            log.debug("the words of %s cannot be read", self.name, exc_info=True)
            if not await self._table.count_rows():
                return TermStatistics(0, ())
            raise ClusterError(
                f"the words of index {self.name!r} have not been counted: a job that wrote to it has not ended; "
                "run it again"
            ) from error
        rows = await self._rows(
            terms.query().where(any_of("term", ["", *words])).limit(len(words) + 1), None, timeout_s
        )
        frequency = {row["term"]: row["documents"] for row in rows}
        return TermStatistics(
            frequency.get("", 0), tuple(TermFrequency(start, end, frequency.get(word, 0)) for start, end, word in spans)
        )

    def as_caller(self, credentials: Credentials) -> SearchableIndex:
        raise CredentialsError(
            "the embedded store knows no users, so a search of it takes no credentials; leave them out, or search a "
            "cluster"
        )

    async def open_view(self, keep_s: int, *, timeout_s: float) -> str:
        """The version of the table, which the store keeps for days."""
        with explaining("the embedded store cannot answer", ClusterUnavailable):
            return str(await self._table.version())

    async def as_of(self, view: str, keep_s: int) -> EmbeddedIndex:
        other = copy.copy(self)
        other.view = view
        try:
            other._table = await self._connection.open_table(self.name)
            await other._table.checkout(int(view))
        except LANCE_ERRORS as error:
            raise ViewLost(self.name, explain_lance(error)) from error
        return other

    async def lexical_after(
        self, query: LexicalQuery, mark: Mark, *, depth: int, filter: Filter | None, timeout_s: float
    ) -> tuple[MarkedHit, ...]:
        """All that match are read: the store has no order of its own among equal scores."""
        end = time.monotonic() + timeout_s
        limit = max(await self._table.count_rows(), 1)
        answer = await self.lexical(query, depth=limit, filter=filter, timeout_s=end - time.monotonic(), passages=0)
        place = (-mark.score, *mark.ties)
        behind = [hit for hit in answer.ranking if (-hit.score, hit.doc_id)[: len(place)] >= place]
        marked = (MarkedHit(hit, Mark(hit.score, (hit.doc_id,))) for hit in behind)
        return tuple(islice((found for found in marked if found.mark != mark), depth))

    async def close_view(self, *, timeout_s: float) -> None:
        """Nothing: the store removes old versions by itself."""

    async def finish(self) -> None:
        async with self._writing():
            await self._table.optimize()
            await self._write_terms()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """Within the block the table is as it was last written, and nobody else writes to it.

        A merge sees the ids of the version that it began with: two at once would both insert a new one."""
        async with self._lock.held():
            try:
                with explaining("the embedded store could not write", ClusterUnavailable):
                    await checkout_latest(self._table, self._connection, known_id=self._table_id)
                    yield
            except ClusterUnavailable as error:
                if await is_gone(self._table, self._connection):  # since then: files need no lock to be deleted
                    raise IndexGone.while_filled(self.name) from error
                raise

    async def _write_terms(self) -> None:
        """Document frequencies of all words, counted anew; the empty term holds the number of documents."""
        stem = stemmer(self.schema.analyzer)
        frequency: Counter[str] = Counter()
        columns = [words_column(name) for name in self.schema.fields.text]
        async for batch in await self._table.query().select(columns).to_batches():
            frequency[""] += batch.num_rows
            for texts in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                words = {word for text in texts if text for word in set(text.lower().split())}
                frequency.update({stem(word) for word in words})
        rows = pa.table(
            {"term": list(frequency), "documents": list(frequency.values())}, schema=pa.schema(TERMS_COLUMNS)
        )
        table = await self._connection.create_table(self.name + TERMS_SUFFIX, schema=rows.schema, exist_ok=True)
        await table.add(rows, mode="overwrite")
        await table.create_index("term", config=BTree(), replace=True)

    async def _rows(self, search: Any, found: Filter | None, timeout_s: float) -> list[dict[str, Any]]:
        if found is not None:
            search = search.where(build_sql(found, self.schema.fields.metadata))
        try:
            async with asyncio.timeout(timeout_s):
                rows: list[dict[str, Any]] = (await search.to_arrow()).to_pylist()
        except TimeoutError as error:
            raise ClusterUnavailable("the embedded store did not answer in time") from error
        except LANCE_ERRORS as error:
            if await is_gone(self._table, self._connection):
                raise IndexGone.while_filled(self.name) from error
            raise ClusterError(f"the embedded store cannot answer: {explain_lance(error)}") from error
        return rows

    def _row(self, written: IndexedDocument) -> dict[str, Any]:
        document = written.document
        row: dict[str, Any] = {"doc_id": document.doc_id, "content_hash": written.content_hash}
        for name in self.schema.fields.text:
            row[name] = document.fields.get(name)
            row[words_column(name)] = split_for_index(row[name]) if row[name] else None
        for name, kind in self.schema.fields.metadata.items():
            value = document.fields.get(name)
            row[name] = json.dumps(value) if kind == "stored" and value is not None else value
        return row | {"passages": [passage.text for passage in written.passages], "vectors": list(written.vectors)}

    def _shown_names(self, source: SourceFilter | None) -> list[str]:
        names = [*self.schema.fields.text, *self.schema.fields.metadata]
        return [name for name in names if source is None or source.may_show(name)]

    def _fields(self, row: dict[str, Any], source: SourceFilter | None) -> dict[str, Any]:
        stored = {name for name, kind in self.schema.fields.metadata.items() if kind == "stored"}
        fields = {
            name: json.loads(value) if name in stored else value for name, value in row.items() if value is not None
        }
        return source.apply(fields) if source else fields


def _to_arrow(vector: Vector) -> pa.Array[Any]:
    """Not by `pa.array`, which imports pandas first where it is installed: half the time of a command."""
    buffer = pa.py_buffer(np.ascontiguousarray(vector, dtype=np.float32).data)
    return pa.Array.from_buffers(pa.float32(), len(vector), [None, buffer])


def _nearest(row: dict[str, Any], vector: Vector, count: int) -> Hit:
    cosines = np.asarray(row["vectors"], dtype=np.float32) @ vector
    nearest = np.argsort(-cosines, kind="stable")[: max(count, 1)].tolist()
    passages = tuple(Passage(row["doc_id"], ordinal, row["passages"][ordinal]) for ordinal in nearest[:count])
    return Hit(row["doc_id"], float(cosines[nearest[0]]), passages)


def _best_by_words(row: dict[str, Any], words: set[tuple[str, str]]) -> tuple[Passage, ...]:
    """The passage in which most of the query's words, or their stems, occur; the first of equals, also where none
    occurs: what the engine found in a document need not stand in a passage as it was typed."""
    counts = [
        sum(word in text or stem in text for word, stem in words)
        for text in (normalise_text(passage).lower() for passage in row.get("passages", ()))
    ]
    best = max(range(len(counts)), key=lambda ordinal: counts[ordinal], default=None)
    return () if best is None else (Passage(row["doc_id"], best, row["passages"][best]),)
