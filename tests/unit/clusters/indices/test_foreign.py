"""What the mapping of somebody else's index says: its fields, what filters, and where each text is kept."""

from __future__ import annotations

from typing import Any

import pytest

from connector.clusters.dialect import ask_texts, build_fields, build_filter
from connector.clusters.elasticsearch import ElasticsearchDialect
from connector.clusters.indices.foreign import build_foreign_schema, read_filterable, read_mapping
from connector.clusters.protocol import ForeignFields
from connector.clusters.reading.hits import read_fields, read_text, values_at
from connector.clusters.reading.lexical import build_lexical
from connector.clusters.reading.term_counts import build_term_statistics
from connector.errors import FilterError, SettingsError
from connector.filters import Not, Terms, check_filter, parse_filter
from connector.layout import TextPlace
from connector.lexical import LexicalQuery
from connector.schema import IndexSchema

TEXT = {"type": "text"}
PROPERTIES: dict[str, Any] = {
    "sku": {"type": "keyword"},
    "title": {"type": "text", "fields": {"keyword": {"type": "keyword"}, "english": TEXT}},
    "heading": {"type": "alias", "path": "title"},
    "where": {"type": "alias", "path": "sku"},
    "summary": {"type": "text", "copy_to": "everything"},
    "remark": {"type": "text", "copy_to": ["everything", "other"]},
    "everything": {"type": "text", "fields": {"plain": TEXT}},
    "other": TEXT,
    "kept": {"type": "text", "store": True},
    "price": {"type": "scaled_float", "scaling_factor": 100},
    "count": {"type": "short"},
    "huge": {"type": "unsigned_long"},
    "when": {"type": "date"},
    "precise": {"type": "date_nanos"},
    "address": {"type": "ip"},
    "live": {"type": "boolean"},
    "labels": {"type": "flattened"},
    "unindexed": {"type": "keyword", "index": False},
    "unfindable": {"type": "keyword", "index": False, "doc_values": False},
    "mute": {"type": "text", "index": False},
    "place": {"type": "geo_point"},
    "vec": {"type": "dense_vector", "dims": 4},
    "off": {"enabled": False, "properties": {"code": {"type": "keyword"}, "note": TEXT}},
    "maker": {"properties": {"name": {"type": "keyword"}, "deep": {"properties": {"n": {"type": "long"}}}}},
    "offers": {
        "type": "nested",
        "properties": {"price": {"type": "double"}, "note": TEXT, "vec": {"type": "dense_vector"}},
    },
}
MAPPING: dict[str, Any] = {
    "properties": PROPERTIES,
    "runtime": {
        "zone": {"type": "keyword"},
        "length": {"type": "long", "script": {"source": "emit(1)"}},
        "made": {"type": "keyword", "script": {"source": "emit(1)"}},
        "log": {
            "type": "composite",
            "script": {"source": "emit(grok('%{WORD:verb}').extract(doc['line'].value))"},
            "fields": {"verb": {"type": "keyword"}},
        },
    },
}


def schema(*text: str, vector: str | None = None, **more: Any) -> IndexSchema:
    foreign = ForeignFields(dict.fromkeys(text, 1.0), vector)
    return build_foreign_schema("shop", [MAPPING | more], foreign, ElasticsearchDialect().read_vector_field)


def test_every_field_that_a_term_can_be_looked_up_in_filters() -> None:
    assert dict(read_filterable(read_mapping([MAPPING]))) == {
        "sku": "keyword",
        "title.keyword": "keyword",
        "where": "keyword",
        "price": "number",
        "count": "integer",
        "huge": "engine",
        "when": "date",
        "precise": "date_nanos",
        "address": "engine",
        "live": "boolean",
        "labels": "engine",
        "unindexed": "keyword",
        "maker.name": "keyword",
        "maker.deep.n": "integer",
        "offers.price": "number",
        "zone": "keyword",
        "length": "integer",
        "made": "keyword",
        "log.verb": "keyword",
    }


def test_words_as_they_are_typed_are_looked_for_in_the_fields_that_the_engine_makes_of_them() -> None:
    typed = {"properties": {"name": {"type": "search_as_you_type"}}}
    foreign = ForeignFields({"name": 2.0, "name._2gram": 1.0, "name._3gram": 1.0})
    made = build_foreign_schema("shop", [typed], foreign, ElasticsearchDialect().read_vector_field)

    assert {name: made.layout.place(name).source for name in foreign.text} == dict.fromkeys(foreign.text, ("name",))


def test_what_is_in_an_object_that_the_engine_does_not_read_is_no_field() -> None:
    with pytest.raises(SettingsError, match=r"off\.note"):
        schema("off.note")
    with pytest.raises(FilterError, match=r"no field 'off\.code' to filter by"):
        check_filter(parse_filter("off.code=a"), schema("title").fields.metadata)


def test_a_key_of_a_flattened_field_filters_and_nothing_else_is_made_up() -> None:
    fields = schema("title").fields.metadata

    assert check_filter(parse_filter("labels.owner=abbey"), fields) == Terms("labels.owner", ("abbey",))
    with pytest.raises(FilterError, match="no field 'labelsowner' to filter by"):
        check_filter(parse_filter("labelsowner=abbey"), fields)
    with pytest.raises(FilterError, match=r"no field .title. to filter by; did you mean .title\.keyword."):
        check_filter(parse_filter("title=x"), fields)


def test_a_field_of_a_nested_object_is_asked_for_inside_of_it() -> None:
    nested = schema("title").layout.nested

    query = build_filter(Not(Terms("offers.price", (3,))), None, nested)

    inside = {"nested": {"path": "offers", "query": {"terms": {"offers.price": [3]}}, "ignore_unmapped": True}}
    assert query == {"bool": {"must_not": [inside]}}


@pytest.mark.parametrize(
    ("name", "source", "place"),
    [
        ("title", {}, TextPlace(source=("title",))),
        ("title.english", {}, TextPlace(source=("title",))),
        ("heading", {}, TextPlace(source=("title",))),
        ("everything", {}, TextPlace(source=("everything", "remark", "summary"))),
        ("everything.plain", {}, TextPlace(source=("everything", "remark", "summary"))),
        ("everything", {"excludes": ["summary"]}, TextPlace(source=("everything", "remark"))),
        ("zone", {}, TextPlace(source=("zone",))),
        ("made", {}, TextPlace(computed=("made",))),
        ("kept", {"excludes": ["k*"]}, TextPlace(stored=("kept",))),
        ("kept", {"enabled": False}, TextPlace(stored=("kept",))),
        ("title", {"enabled": False}, TextPlace(columns=("title.keyword",))),
        ("maker.name", {"excludes": ["maker"]}, TextPlace(columns=("maker.name",))),
        ("title", {"includes": ["title"]}, TextPlace(source=("title",))),
        (
            "other",
            {"includes": ["title"]},
            TextPlace(
                why_not="the text of 'other' is searchable but not kept: _source leaves it out, and it is not stored"
            ),
        ),
    ],
)
def test_the_text_of_a_field_is_looked_for_where_it_is_kept(
    name: str, source: dict[str, Any], place: TextPlace
) -> None:
    assert schema(name, _source=source).layout.place(name) == place


def test_that_no_text_can_be_had_is_known_with_the_reason() -> None:
    assert "not kept: _source is disabled" in schema("other", "summary", _source={"enabled": False}).why_no_text
    assert schema("other", "kept", _source={"enabled": False}).why_no_text == ""


def test_texts_are_asked_for_where_they_are_and_without_a_source_that_is_not_there() -> None:
    asked = schema("title", "kept", "made", _source={"excludes": ["kept"]})
    sourceless = schema("title", "kept", _source={"enabled": False})

    assert ask_texts(asked) == {"_source": ["title"], "stored_fields": ["kept"], "fields": ["made"]}
    assert ask_texts(sourceless) == {"_source": False, "stored_fields": ["kept"], "docvalue_fields": ["title.keyword"]}
    assert build_fields(sourceless, ["a"])["_source"] is False


@pytest.mark.parametrize(
    ("source", "path", "values"),
    [
        ({"a": {"b": "x"}}, "a.b", ["x"]),
        ({"a": [{"b": "x"}, {"b": ["y", None, 3]}, {"c": "z"}]}, "a.b", ["x", "y", "3"]),
        ({"a.b": "x"}, "a.b", ["x"]),
        ({"a": {"b.c": "x"}, "a.b": {"c": "y"}}, "a.b.c", ["x", "y"]),
        ({"a": [[{"b": "x"}]]}, "a.b", ["x"]),
        ({"a": "text"}, "a.b", []),
        ({"a": {"text": "x", "inference": {"chunks": []}}}, "a", ["x"]),
        ({"a": False}, "a", ["False"]),
    ],
)
def test_values_are_found_through_lists_objects_and_dotted_keys(source: Any, path: str, values: list[str]) -> None:
    assert list(values_at(source, path.split("."))) == values


def test_a_text_that_two_fields_share_is_read_once() -> None:
    hit = {"_id": "a", "_source": {"title": "T", "summary": "S", "remark": "R"}}

    assert read_text(hit, schema("title", "title.english", "summary", "everything")) == "T\nS\nR"


def test_a_hit_shows_no_vectors_unless_they_are_short() -> None:
    hit = {
        "_source": {"embedding": [0.5] * 64, "sizes": [1, 2], "parts": [{"v": [1] * 99, "n": "x"}], "bits": [True] * 80}
    }

    assert read_fields(hit, schema("title")) == {"sizes": [1, 2], "parts": [{"n": "x"}], "bits": [True] * 80}
    assert build_fields(schema("title"), ["a"])["_source"]["excludes"][:2] == ["vec", "offers.vec"]


def test_a_text_beside_the_source_is_shown_too() -> None:
    assert read_fields({"_source": {"a": 1}, "fields": {"kept": ["K"], "a": [2]}}, schema("kept")) == {
        "a": 1,
        "kept": "K",
    }


def test_a_text_in_a_nested_object_is_searched_inside_of_it() -> None:
    (clause,) = build_lexical(schema("title", "offers.note"), LexicalQuery("red"), 5, None)["query"]["bool"]["must"]
    plain, nested = clause["bool"]["should"]

    assert plain["multi_match"]["fields"] == ["title^1"]
    assert nested["nested"]["path"] == "offers"
    assert nested["nested"]["query"]["multi_match"]["fields"] == ["offers.note^1"]


def test_terms_are_looked_up_under_the_name_that_the_engine_analyzes() -> None:
    body = build_term_statistics(schema("heading", "title.english", "everything"), "red")

    assert body["fields"] == ["title", "title.english", "everything"]
    assert body["doc"] == {"title": "red", "everything": "red"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("titel", "has no field 'titel'; did you mean 'title'. its text fields: "),
        ("english", "has no field 'english'; did you mean 'title.english'"),
        ("maker", "is an object; name a field in it: it has no text"),
        ("offers", "is an object; name a field in it: offers.note"),
        ("off", "is not indexed .enabled: false."),
        ("mute", "is not indexed .index: false.; its text fields"),
        ("vec", "holds vectors; its text fields"),
        ("place", "is of type geo_point, which holds no words: .*; its text fields"),
        ("count", "is of type short, which holds no words"),
        ("when", "is of type date, which holds no words"),
    ],
)
def test_a_field_that_cannot_be_searched_for_words_is_refused_for_its_own_reason(name: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        schema(name)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"element_type": "bit"}, ""),
        ({"index": False}, "kept but not indexed"),
        ({"element_type": "byte", "similarity": "l2_norm"}, "compared by l2_norm"),
        ({"element_type": "byte", "similarity": "cosine"}, ""),
        ({"similarity": "max_inner_product"}, ""),
    ],
)
def test_vectors_that_cannot_be_searched_are_known_with_the_reason(mapping: dict[str, Any], words: str) -> None:
    properties = {"title": TEXT, "vec": {"type": "dense_vector", "dims": 4} | mapping}
    found = build_foreign_schema(
        "shop",
        [{"properties": properties}],
        ForeignFields({"title": 1.0}, "vec"),
        ElasticsearchDialect().read_vector_field,
    )

    assert words in found.why_no_dense
    assert bool(found.why_no_dense) == bool(words)
