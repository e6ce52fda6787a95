"""Queries by kind, by length, by any field."""

from __future__ import annotations

import pytest

from connector.errors import SettingsError
from connector.evaluation.files.queries import JudgedQuery
from connector.evaluation.segments import MAX_SEGMENTS, REST, default_segments, segment

QUERIES = [
    JudgedQuery("a", "two words", {"kind": ("code",), "tag": ("x", "y")}),
    JudgedQuery("b", "just these three", {"kind": ("code",), "tag": ("y",)}),
    JudgedQuery("c", "one " * 11, {"kind": ("question",)}),
]


def test_by_a_label_the_largest_first() -> None:
    assert segment(QUERIES, "kind") == {"code": ("a", "b"), "question": ("c",)}
    assert list(segment(QUERIES, "kind")) == ["code", "question"]


def test_a_query_with_several_labels_is_in_several_and_one_without_any_is_not_lost() -> None:
    assert segment(QUERIES, "tag") == {"y": ("a", "b"), "(none)": ("c",), "x": ("a",)}


def test_by_length_in_order() -> None:
    assert list(segment(QUERIES, "length").items()) == [
        ("1-2 words", ("a",)),
        ("3-5 words", ("b",)),
        ("11 words or more", ("c",)),
    ]


def test_an_unknown_field_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match=r"no query has a field 'color'.*length, kind, tag"):
        segment(QUERIES, "color")


def test_many_segments_are_shown_as_some_and_the_rest() -> None:
    queries = [JudgedQuery(str(at), "x", {"tag": (str(at),)}) for at in range(MAX_SEGMENTS + 5)]
    found = segment(queries, "tag")

    assert len(found) == MAX_SEGMENTS + 1
    assert len(found[REST]) == 5


def test_by_kind_only_where_queries_have_one() -> None:
    assert default_segments(QUERIES) == ("kind", "length")
    assert default_segments([JudgedQuery("a", "x")]) == ("length",)
