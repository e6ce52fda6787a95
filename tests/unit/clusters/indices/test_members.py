"""Several indices under one name: which they are, what their documents are called, and what differs between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import HashEncoder, schema_of

from connector.clusters.elasticsearch import ElasticsearchDialect
from connector.clusters.indices.foreign import build_foreign_schema, read_mapping
from connector.clusters.indices.members import compare_members, find_members, join_ours, stands_for_several
from connector.clusters.paths import index_path, search_path
from connector.clusters.protocol import ForeignFields
from connector.doctor.cluster_checks import judge_members
from connector.errors import SettingsError
from connector.layout import ONE, Address, Layout, Members
from connector.schema import IndexSchema

TEXT = {"type": "text"}
VECTOR = {"type": "dense_vector", "dims": 4}
OURS = schema_of(HashEncoder(), metadata={"year": "integer"})


def searched(*properties: dict[str, Any], text: str = "title", vector: str | None = None) -> IndexSchema:
    """The schema of indices a, b, ... with those fields, as one."""
    mappings = {name: {"properties": found} for name, found in zip("abcdef", properties, strict=False)}
    foreign = ForeignFields({text: 1.0}, vector)
    schema = build_foreign_schema("x*", list(mappings.values()), foreign, ElasticsearchDialect().read_vector_field)
    members = compare_members(Members(tuple(mappings)), mappings, schema)
    return replace(schema, layout=replace(schema.layout, members=members))


@given(
    index=st.text("abc-.2", min_size=1),
    id=st.text(min_size=1),
    routing=st.one_of(st.none(), st.text(min_size=1)),
    several=st.booleans(),
    routed=st.booleans(),
)
def test_a_document_is_found_again_by_what_it_is_called(
    index: str, id: str, routing: str | None, several: bool, routed: bool
) -> None:
    layout = Layout(routed=routed, members=Members((index,)) if several else ONE)
    called = layout.doc_id(index, id, routing)

    assert layout.address(called, index) == Address(index, id, routing if routed else None)
    assert called == id or several or routed


@pytest.mark.parametrize(
    ("name", "indices", "several"),
    [
        ("logs", ["logs"], False),
        ("alias", ["logs-1"], False),
        ("alias", ["logs-1", "logs-2"], True),
        ("logs-*", ["logs-1"], True),
        ("logs-1,logs-1", ["logs-1"], True),
        ("stream", [".ds-stream-000001"], True),
    ],
)
def test_a_name_that_may_stand_for_more_tomorrow_counts_as_several_today(
    name: str, indices: list[str], several: bool
) -> None:
    assert stands_for_several(name, indices) is several


def test_closed_and_hidden_indices_are_told_from_those_that_are_searched() -> None:
    closed = {"settings": {"index.verified_before_close": "true"}}
    settings = {"a": {"settings": {}}, "b": closed, "c": {"settings": {"index.hidden": "true"}}}

    assert find_members("x*", {"a": {}, "b": {}}, settings) == Members(("a",), ("b",), ("c",))
    with pytest.raises(SettingsError, match=r"closed indices alone \(b\)"):
        find_members("x", {"b": {}}, {"b": closed})


def test_a_field_is_as_most_have_it_and_else_as_the_last() -> None:
    first, other = {"properties": {"title": TEXT}}, {"properties": {"title": {"type": "long"}}}

    assert read_mapping([first, first, other]).fields["title"].type == "text"
    assert read_mapping([first, other]).fields["title"].type == "long"
    assert read_mapping([other, first, other, first]).fields["title"].type == "text"


def test_the_dense_leg_asks_those_whose_vectors_are_alike() -> None:
    longer = VECTOR | {"dims": 8}
    found = searched(
        {"title": TEXT, "vec": VECTOR}, {"title": TEXT, "vec": longer}, {"title": TEXT, "vec": VECTOR}, vector="vec"
    )
    only_missing = searched({"title": TEXT, "vec": VECTOR}, {"title": TEXT}, vector="vec")

    assert found.layout.members.fitting == {"vec": ("a", "c")}
    assert found.dims == 4
    assert only_missing.layout.members.fitting == {}
    assert "lack 'vec'" in next(only_missing.layout.members.notes_of(["vec"]))


def test_what_no_search_looks_at_is_a_difference_and_no_note() -> None:
    members = searched({"title": TEXT, "size": TEXT}, {"title": TEXT, "team": TEXT}).layout.members

    assert members.notes == ()
    assert [difference.split(" is missing")[0] for difference in members.differences] == ["size", "team"]
    assert list(members.notes_on(["team", "title", "team"])) == [
        "no document of 1 of 2 indices (a) has the field 'team' that is filtered by"
    ]


def test_two_kinds_of_text_are_both_searched_for_words() -> None:
    members = searched({"title": TEXT}, {"title": {"type": "match_only_text"}}).layout.members

    assert members.notes == ()
    assert len(members.differences) == 1


def test_indices_of_ours_are_searched_as_one_where_encoder_and_texts_are_the_same() -> None:
    other = schema_of(HashEncoder(), metadata={"team": "keyword"})
    joined = join_ours("x*", {"a": OURS, "b": other})

    assert joined is not None
    assert dict(joined.fields.metadata) == {"year": "integer", "team": "keyword"}
    assert join_ours("x*", {"a": OURS, "b": None}) is None
    with pytest.raises(SettingsError, match="a and b differ in their encoder or their text fields"):
        join_ours("x*", {"a": OURS, "b": schema_of(HashEncoder(dims=4))})


@pytest.mark.parametrize("name", ["", "*", "_all", "<logs-{now/d}>", "a,,b", "a,*"])
def test_a_name_that_would_stand_for_everything_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be searched: name an index"):
        search_path(name, "_search")


def test_patterns_and_lists_are_searched_and_not_written_to() -> None:
    assert search_path("logs-*,wiki", "_search") == "/logs-%2A%2Cwiki/_search"
    with pytest.raises(SettingsError, match="never written to or dropped"):
        index_path("logs-*")


@pytest.mark.parametrize(
    ("properties", "status", "words"),
    [
        ([{"title": TEXT}, {"title": TEXT}], "ok", "stands for 2 indices (a, b)"),
        ([{"title": TEXT}, {"title": TEXT, "size": TEXT}], "ok", "1 field that is not searched"),
        ([{"title": TEXT}, {"size": TEXT}], "warn", "have no text field 'title'"),
    ],
)
def test_the_doctor_says_what_differs(properties: list[dict[str, Any]], status: str, words: str) -> None:
    found = judge_members(searched(*properties))

    assert found
    assert found.status == status
    assert words in found.seen
    assert judge_members(OURS) is None
