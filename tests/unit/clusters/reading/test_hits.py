"""How the hits of an engine's reply are read: ids, order, passages, scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.indices.two_schemas import FLAT, MANAGED
from support.parts import HashEncoder, ids, schema_of

from connector.clusters.dialect import magnify
from connector.clusters.elasticsearch import ElasticsearchDialect
from connector.clusters.opensearch import OpenSearchDialect
from connector.clusters.protocol import ordered
from connector.clusters.reading.hits import has_ids, read_hits
from connector.types import Hit, Passage


def test_an_id_is_read_from_its_value_or_as_it_is_stored() -> None:
    inner = {"_nested": {"field": "passages", "offset": 1}, "fields": {"passages.text": ["P"]}}
    valued = {
        "_score": 2,
        "fields": {"doc_id": ["a"]},
        "inner_hits": {"nearest": {"hits": {"hits": [inner]}}},
    }
    stored = {"_id": "b", "_score": 1}

    assert read_hits({"hits": {"hits": [valued, stored]}}, MANAGED, 5) == (
        Hit("a", 2.0, (Passage("a", 1, "P"),)),
        Hit("b", 1.0),
    )
    assert has_ids({"hits": {"hits": [valued, stored]}})
    assert not has_ids({"hits": {"hits": [valued, {"_score": 1}]}})


def test_hits_are_ordered_by_score_then_doc_id_whatever_the_engine_says() -> None:
    reply = {"hits": {"hits": [{"_id": "z", "_score": 1}, {"_id": "b", "_score": 2}, {"_id": "a", "_score": 1}]}}

    assert ids(read_hits(reply, MANAGED, 2)) == ["b", "a"]


def test_a_managed_hit_carries_its_inner_passages() -> None:
    inner = {"_nested": {"offset": 3}, "fields": {"passages.text": ["the text"]}}
    reply = {"hits": {"hits": [{"_id": "a", "_score": 1, "inner_hits": {"nearest": {"hits": {"hits": [inner]}}}}]}}

    assert read_hits(reply, MANAGED, 5) == (Hit("a", 1.0, (Passage("a", 3, "the text"),)),)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"title": "T", "meta": {"body": "B"}}, "T\nB"),
        ({"title": ["T", "U"]}, "T\nU"),
        ({"title": None, "meta": {"body": 7}}, "7"),
        ({"meta": "no object"}, ""),
        ({}, ""),
    ],
)
def test_a_flat_hit_has_its_text_as_its_passage(source: Any, text: str) -> None:
    (hit,) = read_hits({"hits": {"hits": [{"_id": "a", "_score": 1, "_source": source}]}}, FLAT, 5)

    assert hit.passages == ((Passage("a", 0, text),) if text else ())


@given(
    st.lists(st.builds(Hit, st.text("abc", min_size=1, max_size=2), st.integers(0, 3).map(float), st.just(()))),
    st.integers(1, 5),
)
def test_an_ordered_reply_holds_each_document_once_with_its_best_score(hits: list[Hit], depth: int) -> None:
    result = ordered(hits, depth)

    best = {doc_id: max(hit.score for hit in hits if hit.doc_id == doc_id) for doc_id in ids(hits)}
    assert (
        list(result) == sorted((Hit(*pair) for pair in best.items()), key=lambda hit: (-hit.score, hit.doc_id))[:depth]
    )


def test_a_hit_whose_passages_are_hidden_has_none() -> None:
    inner = {"_nested": {"offset": 0}, "_score": 0.5}
    hit = {"_id": "a", "_score": 1.0, "inner_hits": {"nearest": {"hits": {"hits": [inner]}}}}

    assert read_hits({"hits": {"hits": [hit]}}, schema_of(HashEncoder()), 10) == (Hit("a", 1.0),)


@given(st.floats(2.0**-20, 2.0**20, width=32), st.integers(0, 3))
def test_a_score_that_security_adds_to_comes_back_as_it_was(score: float, roles: int) -> None:
    """OpenSearch adds 1 for each role's term; single precision, as the engines reckon."""
    scale = OpenSearchDialect.scale
    seen = float(np.float32(np.float32(score) * np.float32(scale)) + np.float32(roles))
    reply = {"hits": {"hits": [{"_id": "a", "_score": seen}]}}
    (hit,) = read_hits(reply, schema_of(HashEncoder()), 10, scale)

    assert hit.score == pytest.approx(score, abs=roles / scale + score * 2e-7)
    assert roles or hit.score == score
    assert magnify({"query": {"q": 1}, "size": 3}, scale) == {
        "query": {"bool": {"must": [{"q": 1}], "boost": scale}},
        "size": 3,
    }
    assert magnify({"knn": {}}, ElasticsearchDialect.scale) == {"knn": {}}
