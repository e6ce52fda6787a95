"""Documents and schemas for an index of the embedded store: every type of field, and texts that would break out of
quotes."""

from __future__ import annotations

from typing import Any

from support.parts import HashEncoder, schema_of

from connector.schema import FieldType, IndexSchema
from connector.types import Document, IndexedDocument, Passage

ENCODER = HashEncoder(dims=4)
METADATA: dict[str, FieldType] = {
    "label": "keyword",
    "Odd 'n-me": "keyword",
    "tags": "keyword[]",
    "year": "integer",
    "price": "number",
    "active": "boolean",
    "date": "date",
}
NASTY = [
    "it's",
    "''",
    "'",
    '"',
    "\\",
    "\\'",
    "a'; DROP TABLE x; --",
    "%",
    "_",
    "`",
    "legal",
    "Legal",
    "é",
    "字",
    "👍",
    "\n",
    "\x00",
    "true",
    "null",
    "a,b",
    "--",
    "/*",
    "[x]",
]


def indexed(doc_id: str, text: str, *, passages: list[str] | None = None, **fields: Any) -> IndexedDocument:
    cut = [text] if passages is None else passages
    return IndexedDocument(
        Document(doc_id, {"text": text, **fields}),
        "hash",
        tuple(Passage(doc_id, ordinal, part) for ordinal, part in enumerate(cut)),
        ENCODER.encode(cut),
    )


def schema(**fields: Any) -> IndexSchema:
    return schema_of(ENCODER, **({"text": {"text": 1.0}} | fields))
