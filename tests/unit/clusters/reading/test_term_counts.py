"""In how many documents a query's words stand, asked and read."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.indices.two_schemas import MANAGED
from support.parts import HashEncoder, schema_of

from connector.clusters.reading.term_counts import (
    build_term_statistics,
    build_word_counts,
    find_words,
    read_term_statistics,
    read_word_counts,
)
from connector.types import TermFrequency, TermStatistics


def test_term_statistics_ask_every_text_field() -> None:
    body = build_term_statistics(MANAGED, "red fish")

    assert body["doc"] == {"title": "red fish", "text": "red fish"}


def test_a_term_counts_by_the_field_that_knows_it_best() -> None:
    def field(documents: int, frequency: int) -> Any:
        token = {"start_offset": 0, "end_offset": 3}
        return {
            "field_statistics": {"doc_count": documents},
            "terms": {"red": {"doc_freq": frequency, "tokens": [token]}},
        }

    read = read_term_statistics({"term_vectors": {"title": field(80, 2), "text": field(100, 9)}})

    assert read == TermStatistics(100, (TermFrequency(0, 3, 9),))


def test_a_term_that_no_document_holds_has_frequency_0() -> None:
    term = {"tokens": [{"start_offset": 0, "end_offset": 3}]}

    read = read_term_statistics({"term_vectors": {"text": {"terms": {"red": term}}}})

    assert read.terms == (TermFrequency(0, 3, 0),)


def test_the_words_of_a_text_are_found_with_their_places() -> None:
    text = "The FL-2207's e-mail: don’t, 日本 👍 the"
    words = find_words(text)

    assert [word for _, _, word in words] == ["the", "fl", "2207's", "e", "mail", "don’t", "日本", "the"]
    assert all(text[start:end].lower() == word for start, end, word in words)


@given(st.text(max_size=200))
def test_any_text_has_words_in_order(text: str) -> None:
    words = find_words(text)

    assert [word[:2] for word in words] == sorted(word[:2] for word in words)
    assert all(text[start:end].lower() == word for start, end, word in words)


def test_a_long_text_has_as_many_words_as_are_counted_and_all_their_places() -> None:
    words = find_words(" ".join(f"w{at % 150}" for at in range(300)))

    assert len({word for _, _, word in words}) == 100
    assert len(words) == 200


def test_words_that_all_documents_have_are_left_out_as_stop_words_are() -> None:
    body = build_word_counts(schema_of(HashEncoder()), ["the", "fish", "none"])
    buckets = [{"doc_count": 9}, {"doc_count": 4}, {"doc_count": 0}]
    reply = {"hits": {"total": {"value": 9}}, "aggregations": {"words": {"buckets": buckets}}}

    assert len(body["aggs"]["words"]["filters"]["filters"]) == 3
    assert body["size"] == 0
    assert read_word_counts(reply, ["the", "fish", "none"]) == (9, {"fish": 4, "none": 0})
