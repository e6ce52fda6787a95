"""The engines index the text that a query is compared with, one spelling for all; the source's own spelling is kept
beside it.

A plain analyzer of either engine takes a soft hyphen or an accent of its own for part of another word, and ICU's
analysis is a plugin that many clusters lack. So a text field holds `normalise_text` of the text, and where that changed
something the document has the source's text as well, unindexed, in `original_text`. Readers get the source's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.schema import IndexSchema
from connector.text import normalise_text

ORIGINAL_TEXT = "original_text"


def to_indexed(fields: Mapping[str, Any], schema: IndexSchema) -> dict[str, Any]:
    """A document's fields as they are indexed; texts that this changes are kept under `original_text`."""
    if not _is_kept(schema):
        return dict(fields)
    texts = {name: normalise_text(fields[name]) for name in schema.fields.text if name in fields}
    original = {name: fields[name] for name, text in texts.items() if text != fields[name]}
    return {**fields, **texts} | ({ORIGINAL_TEXT: original} if original else {})


def to_original(source: Mapping[str, Any], schema: IndexSchema) -> dict[str, Any]:
    """The fields as the source had them, from what an engine returns."""
    if not _is_kept(schema) or ORIGINAL_TEXT not in source:
        return dict(source)
    fields = {name: value for name, value in source.items() if name != ORIGINAL_TEXT}
    return fields | dict(source[ORIGINAL_TEXT])


def names_to_read(schema: IndexSchema, names: list[str]) -> list[str]:
    """Those names, and `original_text` where it may hold one of them."""
    return [*names, ORIGINAL_TEXT] if _is_kept(schema) and set(names) & set(schema.fields.text) else names


def _is_kept(schema: IndexSchema) -> bool:
    return schema.managed and schema.keeps_original_text
