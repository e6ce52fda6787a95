"""Rows -> documents: the id, the text fields, the typed metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from connector.errors import DocumentError
from connector.ingest.sources import Row
from connector.ingest.survey import value_at_path
from connector.schema import Fields, IndexSchema
from connector.text import normalise_text
from connector.types import Document
from connector.values import check_value

MAX_ID_BYTES = 512  # the limit of both engines
_KINDS: Mapping[type, str] = {bool: "true or false", dict: "an object", list: "a list"}


def to_document(row: Row, fields: Fields) -> Document:
    """The document in a row; raises DocumentError, naming the field, where it cannot be indexed."""
    try:
        return _to_document(row, fields)
    except UnicodeEncodeError:
        raise DocumentError(
            "it holds half a surrogate pair, which is no character; repair the source's encoding"
        ) from None


def value_at(row: Row, column: str) -> Any:
    """The row's value in a column; of a dotted name that is no column, what lies at that path of nested objects.

    Raises DocumentError where the source could not read it."""
    if column in row.values:
        return row.values[column]
    if fault := row.faults.get(column):
        raise DocumentError(f"field {column!r}: {fault}")
    return value_at_path(row, column)


def _to_document(row: Row, fields: Fields) -> Document:
    doc_id = _doc_id(value_at(row, fields.id), fields.id)
    values: dict[str, Any] = {}
    for name in fields.text:
        if (text := _text(name, value_at(row, fields.column(name)))).strip():
            values[name] = text
    if not any(normalise_text(text).strip() for text in values.values()):
        raise DocumentError(f"it has no text (fields {', '.join(fields.text)} are empty)")
    for name, kind in fields.metadata.items():
        value = check_value(name, kind, value_at(row, fields.column(name)))
        if value is not None:
            values[name] = value
    return Document(doc_id, values, row.origin)


def spell_id(value: Any) -> str:
    """An id as text. A whole number has no point, whatever it was read as: 7 and 7.0 are both "7", as in judgments."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _doc_id(value: Any, field: str) -> str:
    if isinstance(value, bool | dict | list):
        raise DocumentError(f"its id in field {field!r} is {_KINDS[type(value)]}; an id is a text or a number")
    if value is None or not (doc_id := spell_id(value)).strip():
        raise DocumentError(f"the row has no id in field {field!r}")
    if len(doc_id.encode()) > MAX_ID_BYTES:
        raise DocumentError(f"its id has {len(doc_id.encode())} bytes; at most {MAX_ID_BYTES} fit")
    return doc_id


def _text(name: str, value: Any) -> str:
    """The value as text, which a cluster can store."""
    if isinstance(value, list) and all(isinstance(part, str | int | float) for part in value):
        value = "\n".join(map(str, value))
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise DocumentError(f"field {name!r} is text but holds {type(value).__name__}")
    text = str(value)
    text.encode()  # raises for half a surrogate pair
    return text.replace("\x00", " ")


def repeated_id(doc_id: str) -> str:
    """Why a second row with an id is not taken."""
    return f"its id {doc_id!r} repeats; the first row with that id was taken"


def content_hash(document: Document, schema: IndexSchema) -> str:
    """What changes when the document would be written differently: its fields, how it is cut, how it is spelt."""
    content = [document.fields, asdict(schema.passages)]
    spelt = {name: normalise_text(document.fields[name]) for name in schema.fields.text if name in document.fields}
    if any(text != document.fields[name] for name, text in spelt.items()):
        content.append(spelt)
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
