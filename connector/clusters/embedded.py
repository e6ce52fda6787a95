"""The embedded store: LanceDB in a folder. Text, vectors and filters in one durable place, for laptops, demos and tests.

One row is one document with its passages, so that a write is atomic, as it is in the big engines."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import snowballstemmer
from lancedb.index import FTS, BTree
from lancedb.query import BooleanQuery, FullTextQuery, MatchQuery, Occur

from connector.clusters.protocol import Engine, ForeignFields, SearchableIndex, ignore, ordered
from connector.credentials import Credentials
from connector.errors import ClusterError, ClusterUnavailable, CredentialsError, IndexMissing, SettingsError
from connector.filters import And, Exists, Filter, Not, Or, Range, Scalar, Terms
from connector.schema import FieldType, IndexSchema
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

META_KEY = b"connector"
TERMS_SUFFIX = "--terms"
TERMS_COLUMNS: dict[str, pa.DataType] = {"term": pa.string(), "documents": pa.int64()}
LANGUAGES = frozenset(
    {"danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian", "norwegian", "portuguese", "romanian",
     "russian", "spanish", "swedish", "turkish"}
)  # fmt: skip
COLUMN_TYPES: dict[FieldType, pa.DataType] = {
    "keyword": pa.string(),
    "keyword[]": pa.list_(pa.string()),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.string(),  # ISO 8601 in UTC, which sorts as text
    "stored": pa.string(),  # JSON
}
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
WORD = re.compile(r"\w+")
# those of Lucene's analyzer; in the other languages stop words count little, being frequent
STOP_WORDS = {
    "english": frozenset(
        [
            "a",
            "an",
            "and",
            "are",
            "as",
            "at",
            "be",
            "but",
            "by",
            "for",
            "if",
            "in",
            "into",
            "is",
            "it",
            "no",
            "not",
            "of",
            "on",
            "or",
            "such",
            "that",
            "the",
            "their",
            "then",
            "there",
            "these",
            "they",
            "this",
            "to",
            "was",
            "will",
            "with",
        ]
    )
}


class EmbeddedCluster:
    """A LanceDB database in a local folder."""

    def __init__(self, connection: lancedb.AsyncConnection, folder: Path) -> None:
        self.engine = Engine("embedded", f"lancedb {version('lancedb')}")
        self._connection = connection
        self._folder = folder

    @property
    def folder(self) -> Path:
        return self._folder

    @classmethod
    async def open(cls, folder: Path) -> EmbeddedCluster:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return cls(await lancedb.connect_async(str(folder)), folder)
        except OSError as error:
            raise ClusterError(f"cannot open the embedded store in {folder}: {error}") from error

    async def create_index(self, name: str, schema: IndexSchema) -> EmbeddedIndex:
        schema.fields.check_names()
        if schema.vectors.index not in ("auto", "flat"):
            raise SettingsError(
                f"the embedded store searches exactly; it has no vector index {schema.vectors.index!r}: use auto"
            )
        try:
            table = await self._connection.create_table(name, schema=arrow_schema(schema))
        except ValueError as error:
            if "exists" in str(error):
                raise ClusterError(
                    f"index {name!r} exists already; drop it with: connector index drop --index {name}, or choose another name"
                ) from error
            raise ClusterError(f"cannot create index {name!r}: {error}") from error
        await _add_missing_indexes(table, schema)
        return EmbeddedIndex(name, schema, table, self._connection)

    async def open_index(self, name: str, foreign: ForeignFields | None = None) -> EmbeddedIndex:
        table = await self._table(name)
        metadata = (await table.schema()).metadata or {}
        schema = IndexSchema.from_meta(json.loads(metadata.get(META_KEY, b"{}")))
        if schema is None:
            raise SettingsError(
                f"table {name!r} in {self._folder} was not made by the connector; ingest into an index of its own"
            )
        await _add_missing_indexes(table, schema)  # its making may have been killed half-way
        return EmbeddedIndex(name, schema, table, self._connection)

    async def drop_index(self, name: str) -> None:
        await self._table(name)
        await self._connection.drop_table(name)
        await self._connection.drop_table(name + TERMS_SUFFIX, ignore_missing=True)

    async def count(self, name: str) -> int:
        return int(await (await self._table(name)).count_rows())

    async def close(self) -> None:
        self._connection.close()

    async def _table(self, name: str) -> lancedb.AsyncTable:
        try:
            return await self._connection.open_table(name)
        except (ValueError, FileNotFoundError) as error:
            raise IndexMissing(name, f"embedded:{self._folder}") from error


class EmbeddedIndex:
    """One index: a Lance table with a row for each document."""

    def __init__(
        self, name: str, schema: IndexSchema, table: lancedb.AsyncTable, connection: lancedb.AsyncConnection
    ) -> None:
        self.name = name
        self.schema = schema
        self._table = table
        self._connection = connection
        self._lock = asyncio.Lock()

    @property
    def table(self) -> lancedb.AsyncTable:
        return self._table

    async def write(self, documents: Sequence[IndexedDocument]) -> list[WriteOutcome]:
        if not documents:
            return []
        rows = pa.Table.from_pylist([self._row(one) for one in documents], schema=arrow_schema(self.schema))
        async with self._lock:  # writers of one table would only make each other retry
            merge = self._table.merge_insert("doc_id").when_matched_update_all().when_not_matched_insert_all()
            try:
                await merge.execute(rows)
            except (OSError, RuntimeError) as error:
                raise ClusterUnavailable(f"the embedded store could not write: {error}") from error
        return [WriteOutcome(one.document.doc_id) for one in documents]

    async def remove(self, doc_ids: Sequence[str]) -> list[WriteOutcome]:
        if doc_ids:
            async with self._lock:
                await self._table.delete(_any_of("doc_id", doc_ids))
        return [WriteOutcome(doc_id) for doc_id in doc_ids]

    async def lexical(
        self, query: str, *, depth: int, filter: Filter | None, timeout_s: float, passages: int = 1
    ) -> Ranking:
        words = _words_with_stems(query, self.schema.analyzer)
        if not words:
            return ()
        matches: list[tuple[Occur, FullTextQuery]] = [
            (Occur.SHOULD, MatchQuery(query, name, boost=boost)) for name, boost in self.schema.fields.text.items()
        ]
        search = (
            self._table.query()
            .nearest_to_text(BooleanQuery(matches))
            .limit(depth)
            .select(["doc_id", "_score", *(["passages"] if passages else [])])
        )
        rows = await self._rows(search, filter, timeout_s)
        return ordered((Hit(row["doc_id"], row["_score"], _best_by_words(row, words)) for row in rows), depth)

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
        search = (
            self._table.query().nearest_to(vector).column("vectors").distance_type("cosine").limit(depth)
            .select(["doc_id", "vectors", "_distance", *(["passages"] if passages else [])])
        )  # fmt: skip
        rows = await self._rows(search, filter, timeout_s)
        return ordered((_nearest(row, vector, passages) for row in rows if row["vectors"]), depth)

    async def get(
        self, doc_ids: Sequence[str], *, fields: Iterable[str] | None, timeout_s: float
    ) -> dict[str, dict[str, Any]]:
        if not doc_ids:
            return {}
        names = [*self.schema.fields.text, *self.schema.fields.metadata] if fields is None else list(fields)
        search = self._table.query().where(_any_of("doc_id", doc_ids)).select(["doc_id", *names]).limit(len(doc_ids))
        rows = await self._rows(search, None, timeout_s)
        return {row.pop("doc_id"): self._fields(row) for row in rows}

    async def content(
        self, doc_ids: Sequence[str], *, query: str | None, vector: Vector | None, timeout_s: float
    ) -> dict[str, HitContent]:
        if not doc_ids:
            return {}
        names = [*self.schema.fields.text, *self.schema.fields.metadata]
        columns = ["doc_id", "passages", "vectors", *names]
        search = self._table.query().where(_any_of("doc_id", doc_ids)).select(columns).limit(len(doc_ids))
        words = _words_with_stems(query, self.schema.analyzer) if query else None
        shown = {}
        for row in await self._rows(search, None, timeout_s):
            nearest = _nearest(row, vector, 1).passages if vector is not None and row["vectors"] else ()
            fields = self._fields({name: row[name] for name in names})
            matching = _best_by_words(row, words) if words is not None else ()
            shown[row["doc_id"]] = HitContent(fields, next(iter(nearest), None), next(iter(matching), None))
        return shown

    async def scan(self) -> AsyncIterator[tuple[str, str]]:
        async for batch in await self._table.query().select(["doc_id", "content_hash"]).to_batches():
            for doc_id, content_hash in zip(
                batch["doc_id"].to_pylist(), batch["content_hash"].to_pylist(), strict=True
            ):
                yield doc_id, content_hash

    async def term_statistics(self, text: str, *, timeout_s: float) -> TermStatistics:
        stem, stop_words = _stemmer(self.schema.analyzer), STOP_WORDS.get(self.schema.analyzer, frozenset())
        spans = [
            (match.start(), match.end(), stem(match.group().lower()))
            for match in WORD.finditer(text)
            if match.group().lower() not in stop_words
        ]
        try:
            terms = await self._connection.open_table(self.name + TERMS_SUFFIX)
        except (ValueError, FileNotFoundError):
            return TermStatistics(0, ())
        words = sorted({word for _, _, word in spans})
        rows = await terms.query().where(_any_of("term", ["", *words])).limit(len(words) + 1).to_list()
        frequency = {row["term"]: row["documents"] for row in rows}
        return TermStatistics(
            frequency.get("", 0), tuple(TermFrequency(start, end, frequency.get(word, 0)) for start, end, word in spans)
        )

    def as_caller(self, credentials: Credentials) -> SearchableIndex:
        raise CredentialsError(
            "the embedded store knows no users, so a search of it takes no credentials; leave them out, or search a cluster"
        )

    async def finish(self) -> None:
        async with self._lock:
            await self._table.optimize()
            await self._write_terms()

    async def _write_terms(self) -> None:
        """Document frequencies of all words, counted anew; the empty term holds the number of documents."""
        stem = _stemmer(self.schema.analyzer)
        frequency: Counter[str] = Counter()
        async for batch in await self._table.query().select(list(self.schema.fields.text)).to_batches():
            columns = [column.to_pylist() for column in batch.columns]
            frequency[""] += batch.num_rows
            for texts in zip(*columns, strict=True):
                frequency.update({stem(word) for text in texts if text for word in WORD.findall(text.lower())})
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
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(f"the embedded store refused the query: {error}") from error
        return rows

    def _row(self, one: IndexedDocument) -> dict[str, Any]:
        row: dict[str, Any] = {"doc_id": one.document.doc_id, "content_hash": one.content_hash}
        for name in self.schema.fields.text:
            row[name] = one.document.fields.get(name)
        for name, kind in self.schema.fields.metadata.items():
            value = one.document.fields.get(name)
            row[name] = json.dumps(value) if kind == "stored" and value is not None else value
        return row | {"passages": [passage.text for passage in one.passages], "vectors": list(one.vectors)}

    def _fields(self, row: dict[str, Any]) -> dict[str, Any]:
        stored = {name for name, kind in self.schema.fields.metadata.items() if kind == "stored"}
        return {
            name: json.loads(value) if name in stored else value for name, value in row.items() if value is not None
        }


async def _add_missing_indexes(table: lancedb.AsyncTable, schema: IndexSchema) -> None:
    present = {column for one in await table.list_indices() for column in one.columns}
    stem = schema.analyzer in LANGUAGES  # any other analyzer only splits words and folds case
    language: Any = schema.analyzer.capitalize() if stem else "English"
    config = FTS(language=language, stem=stem, remove_stop_words=stem, with_position=False)
    for field in schema.fields.text:
        if field not in present:
            await table.create_index(field, config=config)
    if "doc_id" not in present:
        await table.create_index("doc_id", config=BTree())


@cache
def _stemmer(analyzer: str) -> Callable[[str], str]:
    """word -> stem, remembered, in the language of the analyzer; other analyzers keep words as they are."""
    if analyzer not in LANGUAGES:
        return str
    stem: Callable[[str], str] = snowballstemmer.stemmer(analyzer).stemWord
    return lru_cache(maxsize=200_000)(stem)


def _words_with_stems(text: str, analyzer: str) -> set[tuple[str, str]]:
    """(word, stem) of a text's words, stop words left out."""
    stem, stop_words = _stemmer(analyzer), STOP_WORDS.get(analyzer, frozenset())
    return {(word, stem(word)) for word in WORD.findall(text.lower()) if word not in stop_words}


def build_sql(found: Filter, fields: Any) -> str:
    """The SQL condition of a checked filter. It is true or false, never unknown, so that "not" holds for missing values."""
    match found:
        case Terms(name, values):
            if fields[name] == "keyword[]":
                literals = ", ".join(_literal(value) for value in values)
                return f"coalesce(array_has_any({_column(name)}, [{literals}]), false)"
            return f"coalesce({_any_of(name, values)}, false)"
        case Range(name, bounds):
            parts = [f"{_column(name)} {COMPARISONS[bound]} {_literal(value)}" for bound, value in bounds.items()]
            return f"coalesce({' AND '.join(parts)}, false)"
        case Exists(name):
            return f"({_column(name)} IS NOT NULL)"
        case And(parts):
            return "(" + " AND ".join(build_sql(part, fields) for part in parts) + ")"
        case Or(parts):
            return "(" + " OR ".join(build_sql(part, fields) for part in parts) + ")"
        case Not(part):
            return f"(NOT {build_sql(part, fields)})"


def arrow_schema(schema: IndexSchema) -> pa.Schema:
    columns: list[pa.Field[Any]] = [pa.field("doc_id", pa.string()), pa.field("content_hash", pa.string())]
    columns += [pa.field(name, pa.string()) for name in schema.fields.text]
    columns += [pa.field(name, COLUMN_TYPES[kind]) for name, kind in schema.fields.metadata.items()]
    columns += [
        pa.field("passages", pa.list_(pa.string())),
        pa.field("vectors", pa.list_(pa.list_(pa.float32(), schema.dims))),
    ]
    return pa.schema(columns, metadata={META_KEY: json.dumps(schema.to_meta()).encode()})


def _nearest(row: dict[str, Any], vector: Vector, count: int) -> Hit:
    cosines = np.asarray(row["vectors"], dtype=np.float32) @ vector
    nearest = np.argsort(-cosines, kind="stable")[: max(count, 1)].tolist()
    passages = tuple(Passage(row["doc_id"], ordinal, row["passages"][ordinal]) for ordinal in nearest[:count])
    return Hit(row["doc_id"], float(cosines[nearest[0]]), passages)


def _best_by_words(row: dict[str, Any], words: set[tuple[str, str]]) -> tuple[Passage, ...]:
    """The passage in which most of the query's words, or their stems, occur; the first of equals; none where none occurs."""
    counts = [
        sum(word in text or stem in text for word, stem in words) for text in map(str.lower, row.get("passages", ()))
    ]
    best = max(range(len(counts)), key=lambda ordinal: counts[ordinal], default=None)
    return () if best is None or not counts[best] else (Passage(row["doc_id"], best, row["passages"][best]),)


def _any_of(column: str, values: Sequence[Scalar]) -> str:
    return f"{_column(column)} IN ({', '.join(_literal(value) for value in values)})"


def _column(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
