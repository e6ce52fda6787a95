from __future__ import annotations

import contextlib
import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import HashEncoder, document, schema_of

from connector.errors import DocumentError, SettingsError
from connector.ingest.documents import MAX_ID_BYTES, content_hash, infer_fields, reject_line, to_document
from connector.ingest.sources import Row
from connector.schema import Fields, PassageSettings
from connector.types import Document

PROSE = "This is a sentence of a field that holds prose, long enough to be told from a label by its length. " * 2
FIELDS = Fields(text={"title": 2.0, "text": 1.0}, metadata={"year": "integer", "extra": "stored"}, id="id")


def row(**values: Any) -> Row:
    return Row(values, "a.jsonl:1")


def test_fields_are_worked_out_from_usual_names() -> None:
    fields = infer_fields([row(_id="1", title="T", text="short", year=2024)])

    assert fields == Fields(text={"title": 1.0, "text": 1.0}, metadata={"year": "integer"}, id="_id")


def test_a_long_text_of_any_name_is_prose() -> None:
    fields = infer_fields([row(sku="1", story=PROSE, brand="acme")], id_field="sku")

    assert fields == Fields(text={"story": 1.0}, metadata={"brand": "keyword"}, id="sku")


def test_the_title_comes_first_wherever_it_stands() -> None:
    fields = infer_fields([row(id="1", text="t", name="N")])

    assert list(fields.text) == ["name", "text"]


@pytest.mark.parametrize(("name", "chosen"), [("_id", "_id"), ("id", "id"), ("doc_id", "doc_id"), ("path", "path")])
def test_the_id_goes_by_usual_names(name: str, chosen: str) -> None:
    assert infer_fields([row(**{name: "1", "text": "t"})]).id == chosen


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False], "boolean"),
        ([1, 2], "integer"),
        ([1, 2.5], "number"),
        ([Decimal("9.90"), 3], "number"),
        (["a", "b"], "keyword"),
        (["2024-01-31", "2024-02-01T10:00:00Z"], "date"),
        ([dt.date(2024, 1, 1), dt.datetime(2024, 1, 1)], "date"),
        (["2024", "2025"], "keyword"),
        (["2024-01-31", "soon"], "keyword"),
        ([["a"], ["b", "c"]], "keyword[]"),
        ([{"a": 1}], "stored"),
        ([1, "a"], "stored"),
        ([[1.5]], "stored"),
        ([True, 1], "stored"),
    ],
)
def test_metadata_types_are_worked_out_from_all_values(values: list[Any], kind: str) -> None:
    fields = infer_fields(
        [row(id=str(number), text="t", field=value) for number, value in enumerate([*values, None, "", []])]
    )

    assert fields.metadata == {"field": kind}


@pytest.mark.parametrize("name", ["passages", "content_hash", "vectors", "_score", "a.b", "a`b", "doc_id"])
def test_names_that_an_index_cannot_have_are_left_out(name: str) -> None:
    fields = infer_fields([row(id="1", text="t", **{name: "x"})])

    fields.check_names()
    assert fields.metadata == {}


def test_rows_that_could_not_be_read_have_no_say() -> None:
    fields = infer_fields([Row({}, "x", error="broken"), row(id="1", text="t")])

    assert fields.id == "id"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(sku="1", text="t")], "set fields.id .the source has: sku, text"),
        ([row(id="1", brand="acme")], "set fields.text"),
        ([], "the source has: nothing"),
        ([Row({}, "x", error="broken")], "the source has: nothing"),
    ],
)
def test_what_cannot_be_worked_out_is_asked_for(rows: list[Row], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        infer_fields(rows)


def test_a_row_becomes_a_document_with_checked_values() -> None:
    made = to_document(row(id=7, title="T", text=["a", "b"], year="2024", extra={"a": 1}, other="left out"), FIELDS)

    assert made == Document("7", {"title": "T", "text": "a\nb", "year": 2024, "extra": {"a": 1}}, "a.jsonl:1")


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
        ({"id": {"a": 1}, "text": "t"}, "no id"),
        ({"id": True, "text": "t"}, "no id"),
        ({"id": "é" * 257, "text": "t"}, f"its id has 514 bytes; at most {MAX_ID_BYTES}"),
        ({"id": "a"}, r"no text \(fields title, text are empty\)"),
        ({"id": "a", "text": {"a": 1}}, "'text' is text but holds dict"),
        ({"id": "a", "text": ["a", 1]}, "'text' is text but holds list"),
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
    one = Document("1", {"a": 1, "b": "é"}, "here")
    other = Document("2", {"b": "é", "a": 1}, "there")

    assert content_hash(one, SCHEMA) == content_hash(other, SCHEMA)


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


def test_a_rejected_document_is_kept_whole() -> None:
    line = reject_line(row(id="é", when=dt.date(2024, 1, 1)), "too odd")

    assert line.endswith("\n")
    assert line.isascii()
    assert json.loads(line) == {
        "reason": "too odd",
        "origin": "a.jsonl:1",
        "document": {"id": "é", "when": "2024-01-01"},
    }


def test_a_line_that_was_no_row_is_kept_raw() -> None:
    line = reject_line(Row({}, "a.jsonl:3", "not JSON", "{broken \udcff\n"), "not JSON")

    assert json.loads(line) == {"reason": "not JSON", "origin": "a.jsonl:3", "raw": "{broken \udcff\n"}
