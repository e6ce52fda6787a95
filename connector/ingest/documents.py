"""Rows -> documents: the id, the text fields, the typed metadata; and what of that is worked out when nobody says it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from connector.errors import DocumentError, SettingsError
from connector.ingest.sources import Row
from connector.schema import Fields, FieldType, IndexSchema, check_value, is_field_name, to_instant
from connector.text import normalise_text
from connector.types import Document

ID_NAMES = ("_id", "id", "doc_id", "path")
TITLE_NAMES = ("title", "name", "heading", "subject")
TEXT_NAMES = ("text", "body", "content", "description", "abstract")
TITLE_BOOST = 1.0
LONG_TEXT_CHARS = 120  # a string field that is longer on average is prose, not a label
MAX_ID_BYTES = 512  # the limit of both engines


def infer_fields(rows: Sequence[Row], *, id_field: str | None = None) -> Fields:
    """The fields of a source from its first rows: the usual names first, then by what the values look like.

    Raises SettingsError where no id or no text can be found."""
    values = [row.values for row in rows if not row.error]
    names = list(dict.fromkeys(name for one in values for name in one))
    found_id = id_field or next((name for name in ID_NAMES if name in names), None)
    if found_id is None:
        raise SettingsError(
            f"cannot tell which field is the id; set fields.id (the source has: {', '.join(names) or 'nothing'})"
        )
    samples = {
        name: [one[name] for one in values if one.get(name) not in (None, "", [])] for name in names if name != found_id
    }
    prose = [name for name, sample in samples.items() if name in TEXT_NAMES or _is_prose(sample)]
    titles = [
        name for name in TITLE_NAMES if samples.get(name) and all(isinstance(value, str) for value in samples[name])
    ][:1]
    text = [*titles, *(name for name in prose if name not in titles)]
    if not text:
        raise SettingsError(f"cannot tell which fields are text; set fields.text (the source has: {', '.join(names)})")
    metadata = {
        name: _guess_type(sample)
        for name, sample in samples.items()
        if name not in text and sample and is_field_name(name)
    }
    return Fields(text=dict.fromkeys(text, TITLE_BOOST), metadata=metadata, id=found_id)


def to_document(row: Row, fields: Fields) -> Document:
    """The document in a row; raises DocumentError, naming the field, where it cannot be indexed."""
    try:
        return _to_document(row, fields)
    except UnicodeEncodeError:
        raise DocumentError(
            "it holds half a surrogate pair, which is no character; repair the source's encoding"
        ) from None


def _to_document(row: Row, fields: Fields) -> Document:
    for name in (fields.id, *fields.text, *fields.metadata):
        if name in row.faults:
            raise DocumentError(f"field {name!r}: {row.faults[name]}")
    doc_id = row.values.get(fields.id)
    if doc_id is None or isinstance(doc_id, dict | list | bool) or str(doc_id).strip() == "":
        raise DocumentError(f"the row has no id in field {fields.id!r}")
    if len(str(doc_id).encode()) > MAX_ID_BYTES:
        raise DocumentError(f"its id has {len(str(doc_id).encode())} bytes; at most {MAX_ID_BYTES} fit")
    values: dict[str, Any] = {}
    for name in fields.text:
        value = row.values.get(name)
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            value = "\n".join(value)
        if value is not None and not isinstance(value, str | int | float):
            raise DocumentError(f"field {name!r} is text but holds {type(value).__name__}")
        if value is not None and normalise_text(str(value)).strip():
            str(value).encode()  # raises for what no cluster can store
            values[name] = str(value).replace("\x00", " ")
    if not values:
        raise DocumentError(f"it has no text (fields {', '.join(fields.text)} are empty)")
    for name, kind in fields.metadata.items():
        value = check_value(name, kind, row.values.get(name))
        if value is not None:
            values[name] = value
    return Document(str(doc_id), values, row.origin)


def content_hash(document: Document, schema: IndexSchema) -> str:
    """What changes when the document would be written differently: its fields, how passages are cut, or how it is spelt."""
    content = [document.fields, schema.to_meta()["connector"]["passages"]]
    spelt = {name: normalise_text(document.fields[name]) for name in schema.fields.text if name in document.fields}
    if any(text != document.fields[name] for name, text in spelt.items()):
        content.append(spelt)
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def reject_line(row: Row, reason: str) -> str:
    """A line of the rejects file: the reason, where the row was, and the row as it was."""
    rejected: Mapping[str, Any] = {"reason": reason, "origin": row.origin} | (
        {"raw": row.raw} if row.raw is not None else {"document": row.values}
    )
    return json.dumps(rejected, ensure_ascii=True, default=str) + "\n"


def _is_prose(sample: Sequence[Any]) -> bool:
    texts = [value for value in sample if isinstance(value, str)]
    return bool(texts) and len(texts) == len(sample) and sum(map(len, texts)) / len(texts) > LONG_TEXT_CHARS


def _guess_type(sample: Sequence[Any]) -> FieldType:
    if all(isinstance(value, bool) for value in sample):
        return "boolean"
    if all(isinstance(value, int) and not isinstance(value, bool) for value in sample):
        return "integer"
    if all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in sample):
        return "number"
    if all(isinstance(value, list) and all(isinstance(one, str | int) for one in value) for value in sample):
        return "keyword[]"
    if all(isinstance(value, str) for value in sample):
        return "date" if all(map(_is_date, sample)) else "keyword"
    return "date" if all(map(_is_date, sample)) else "stored"


def _is_date(value: Any) -> bool:
    if isinstance(value, str) and not value[:5].endswith("-"):
        return False
    try:
        to_instant(value)
    except (ValueError, OverflowError, TypeError, OSError):
        return False
    return not isinstance(value, int | float)
