"""The table of an index: one row is one document with its passages, so that a write is atomic, as it is in the
engines."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import lancedb
import pyarrow as pa
from lancedb.index import FTS, BTree

from connector.clusters.embedded.words import LANGUAGES
from connector.schema import WORDS_SUFFIX, AnyFieldType, IndexSchema

TableRow = Mapping[str, Any]  # column -> value
META_KEY = b"connector"
TABLE_ID_KEY = b"connector_table"
COLUMN_TYPES: dict[AnyFieldType, pa.DataType] = {
    "keyword": pa.string(),
    "keyword[]": pa.list_(pa.string()),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.string(),  # ISO 8601 in UTC, which sorts as text
    "stored": pa.string(),  # JSON
}


def named_schema(schema: IndexSchema) -> pa.Schema:
    """The columns of a new table, with what tells it from every other."""
    columns = arrow_schema(schema)
    return columns.with_metadata({**(columns.metadata or {}), TABLE_ID_KEY: uuid.uuid4().hex.encode()})


def table_id(columns: pa.Schema) -> bytes:
    """What tells a table from another one of its name."""
    return (columns.metadata or {}).get(TABLE_ID_KEY, b"")


def words_column(name: str) -> str:
    """The column with the words of a text field, beside the text as the source had it."""
    return name + WORDS_SUFFIX


def arrow_schema(schema: IndexSchema) -> pa.Schema:
    columns: list[pa.Field[Any]] = [pa.field("doc_id", pa.string()), pa.field("content_hash", pa.string())]
    columns += [pa.field(column, pa.string()) for name in schema.fields.text for column in (name, words_column(name))]
    columns += [pa.field(name, COLUMN_TYPES[kind]) for name, kind in schema.fields.metadata.items()]
    columns += [
        pa.field("passages", pa.list_(pa.string())),
        pa.field("vectors", pa.list_(pa.list_(pa.float32(), schema.dims))),
    ]
    return pa.schema(columns, metadata={META_KEY: json.dumps(schema.to_meta()).encode()})


async def missing_indexes(table: lancedb.AsyncTable, schema: IndexSchema) -> list[str]:
    """The columns that are still to be indexed."""
    # LanceDB gives a name that is no plain word between backquotes, as SQL has it
    present = {column.strip("`") for index in await table.list_indices() for column in index.columns}
    return [column for column in (*map(words_column, schema.fields.text), "doc_id") if column not in present]


async def add_indexes(table: lancedb.AsyncTable, columns: Sequence[str], schema: IndexSchema) -> None:
    stem = schema.analyzer in LANGUAGES  # any other analyzer only splits words and folds case
    language: Any = schema.analyzer.capitalize() if stem else "English"
    # what the columns hold is split already; a word may be as long as it is
    words = FTS(
        base_tokenizer="whitespace", language=language, stem=stem, remove_stop_words=stem, max_token_length=None
    )
    for column in columns:
        await table.create_index(column, config=BTree() if column == "doc_id" else words)
