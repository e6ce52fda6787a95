"""Words of a query marked in a text."""

from __future__ import annotations

from typing import Any

import pytest

from connector.clusters.reading.marks import Tags, find_same_words, mark, read_analysis, read_tags


def test_spans_that_overlap_are_marked_once_and_those_that_touch_stay_apart() -> None:
    assert mark("abcdef", [(3, 5), (0, 2), (1, 3), (3, 3)], Tags("<", ">")) == "<abc><de>f"


def test_the_text_is_escaped_around_the_tags_where_that_is_asked_for() -> None:
    assert mark('a<b> & "c"', [(1, 2)], Tags(escapes=True)) == "a<em>&lt;</em>b&gt; &amp; &quot;c&quot;"
    assert mark("a<b>", [(0, 1)], Tags()) == "<em>a</em><b>"


@pytest.mark.parametrize(
    ("options", "tags"),
    [
        ({}, Tags("<em>", "</em>")),
        ({"pre_tags": ["<1>", "<2>"], "post_tags": "</1>"}, Tags("<1>", "</1>")),
        ({"pre_tags": []}, Tags()),
        ({"tags_schema": "styled", "encoder": "html"}, Tags('<em class="hlt1">', "</em>", escapes=True)),
    ],
)
def test_tags_are_those_of_the_engines_options(options: Any, tags: Tags) -> None:
    assert read_tags(options) == tags


def test_without_the_engine_the_same_words_are_found_in_whatever_case() -> None:
    text = "Refunds: refund, REFUND 🙂 größe"

    assert [text[start:end] for start, end in find_same_words("refund GRÖSSE Größe", text)] == [
        "refund", "REFUND", "größe"]  # fmt: skip


def test_places_are_characters_where_the_engine_counts_utf_16() -> None:
    tokens = [{"start_offset": 3, "end_offset": 6}]
    reply = {"docs": [{"term_vectors": {"text": {"terms": {"one": {"tokens": tokens}}}}}, {"found": False}]}

    assert read_analysis(reply, ["🙂 one", ""]) == [{"one": [(2, 5)]}, {}]
    assert read_analysis({"docs": [{"error": {}}]}, ["a"]) is None
