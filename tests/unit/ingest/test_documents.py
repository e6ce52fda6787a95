"""A row becomes a document: ids, values, faults, and the hash of its content."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ingest.rows import row
from support.parts import HashEncoder, document, schema_of

from connector.errors import DocumentError
from connector.ingest.documents import MAX_ID_BYTES, content_hash, to_document
from connector.ingest.sources import Row
from connector.schema import Fields, PassageSettings
from connector.types import Document

PROSE = "This is a sentence of a field that holds prose, long enough to be told from a label by its length. " * 2
FIELDS = Fields(text={"title": 2.0, "text": 1.0}, metadata={"year": "integer", "extra": "stored"}, id="id")


def test_a_row_becomes_a_document_with_checked_values() -> None:
    made = to_document(row(id=7, title="T", text=["a", "b"], year="2024", extra={"a": 1}, other="left out"), FIELDS)

    assert made == Document("7", {"title": "T", "text": "a\nb", "year": 2024, "extra": {"a": 1}}, "a.jsonl:1")


def test_a_field_is_filled_from_its_column() -> None:
    fields = Fields(
        {"text": 1.0},
        {"unit_": "keyword", "meta_author": "keyword"},
        "id",
        {"unit_": "unit", "meta_author": "meta.author"},
    )
    values = {"id": "1", "text": "t", "unit": "kelvin"}

    assert to_document(row(**values, **{"meta.author": "Ada"}), fields).fields["meta_author"] == "Ada"
    assert to_document(row(**values, meta={"author": "Ada"}), fields).fields["meta_author"] == "Ada"
    assert to_document(row(**values, meta="Ada"), fields).fields == {"text": "t", "unit_": "kelvin"}


def test_a_text_that_nobody_can_see_is_no_text() -> None:
    with pytest.raises(DocumentError, match="no text"):
        to_document(row(id="a", text="\u200b\ufeff\u00ad"), FIELDS)


def test_missing_and_blank_values_are_left_out() -> None:
    made = to_document(row(id="a", title="  ", text="t", year=None, extra=""), FIELDS)

    assert made.fields == {"text": "t"}


def test_a_text_field_takes_numbers_and_loses_null_bytes() -> None:
    made = to_document(row(id="a", title=7, text="a\x00b"), FIELDS)

    assert made.fields == {"title": "7", "text": "a b"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"text": "t"}, "no id in field 'id'"),
        ({"id": None, "text": "t"}, "no id"),
        ({"id": "  ", "text": "t"}, "no id"),
        ({"id": {"a": 1}, "text": "t"}, "its id in field 'id' is an object; an id is a text or a number"),
        ({"id": ["a"], "text": "t"}, "its id in field 'id' is a list"),
        ({"id": True, "text": "t"}, "its id in field 'id' is true or false"),
        ({"id": "é" * 257, "text": "t"}, f"its id has 514 bytes; at most {MAX_ID_BYTES}"),
        ({"id": "a"}, r"no text \(fields title, text are empty\)"),
        ({"id": "a", "text": {"a": 1}}, "'text' is text but holds dict"),
        ({"id": "a", "text": ["a", {"b": 1}]}, "'text' is text but holds list"),
        ({"id": "a", "text": "t", "year": "soon"}, "'year' is an integer"),
        ({"id": "a", "text": "\ud800"}, "half a surrogate pair"),
        ({"id": "\ud800", "text": "t"}, "half a surrogate pair"),
        ({"id": "a", "text": "t", "extra": ["\ud800"]}, "'extra' is stored as JSON"),
        ({"id": "a", "text": "t", "extra": b"\x00"}, "'extra' is stored as JSON"),
    ],
)
def test_a_row_that_cannot_be_indexed_says_why(values: dict[str, Any], words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        to_document(row(**values), FIELDS)


@pytest.mark.parametrize(
    ("value", "doc_id"), [(7, "7"), (7.0, "7"), (-0.0, "0"), (7.5, "7.5"), ("7.0", "7.0"), (1e22, "1" + "0" * 22)]
)
def test_a_whole_number_is_an_id_without_a_point(value: Any, doc_id: str) -> None:
    assert to_document(row(id=value, text="t"), FIELDS).doc_id == doc_id


@pytest.mark.parametrize("name", ["id", "title", "year"])
def test_a_value_that_could_not_be_read_fails_its_row(name: str) -> None:
    values = {field: value for field, value in {"id": "a", "title": "T", "text": "t"}.items() if field != name}

    with pytest.raises(DocumentError, match=f"field '{name}': too far away"):
        to_document(Row(values, "here", faults={name: "too far away"}), FIELDS)


def test_a_value_that_could_not_be_read_is_no_matter_where_its_field_is_not_used() -> None:
    made = to_document(Row({"id": "a", "text": "t"}, "here", faults={"other": "too far away"}), FIELDS)

    assert made.fields == {"text": "t"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "title", "text", "year", "extra"), json_values)))
def test_any_row_is_a_document_or_a_document_error(values: dict[str, Any]) -> None:
    with contextlib.suppress(DocumentError):
        made = to_document(row(**values), FIELDS)

        json.dumps(made.fields, ensure_ascii=False, allow_nan=False).encode()
        assert content_hash(made, schema_of(HashEncoder()))


SCHEMA = schema_of(HashEncoder())


def test_a_hash_depends_on_the_content_and_not_on_the_order_or_the_id() -> None:
    first = Document("1", {"a": 1, "b": "é"}, "here")
    other = Document("2", {"b": "é", "a": 1}, "there")

    assert content_hash(first, SCHEMA) == content_hash(other, SCHEMA)


@pytest.mark.parametrize("fields", [{"a": 2}, {"a": "1"}, {"a": 1, "b": 1}, {"b": 1}, {}])
def test_a_hash_changes_with_the_content(fields: dict[str, Any]) -> None:
    assert content_hash(document("d", **fields), SCHEMA) != content_hash(document("d", a=1), SCHEMA)


def test_a_hash_changes_where_the_text_is_indexed_in_another_spelling() -> None:
    odd, plain = Document("1", {"text": "mu\u0308hle"}), Document("1", {"text": "mühle"})
    raw = content_hash(Document("1", {"note": "mu\u0308hle"}), SCHEMA)

    assert len({content_hash(odd, SCHEMA), content_hash(plain, SCHEMA), raw}) == 3


def test_a_hash_changes_with_how_passages_are_cut() -> None:
    recut = replace(SCHEMA, passages=PassageSettings(64, 0))

    assert content_hash(document("d", a=1), SCHEMA) != content_hash(document("d", a=1), recut)
