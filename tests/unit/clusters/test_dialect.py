"""Requests as each engine's dialect writes them: filters, the two legs, and vector fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.indices.two_schemas import FLAT, MANAGED

from connector.clusters.dialect import build_filter, with_stored_ids
from connector.clusters.elasticsearch import ElasticsearchDialect
from connector.clusters.opensearch import OpenSearchDialect
from connector.clusters.reading.lexical import build_lexical
from connector.filters import And, Exists, Not, Or, Range, Terms
from connector.layout import VectorField
from connector.lexical import LexicalQuery

VECTOR = np.array([0.6, 0.8], dtype=np.float32)
DIALECTS = [ElasticsearchDialect(), OpenSearchDialect()]


@pytest.mark.parametrize(
    ("found", "query"),
    [
        (Terms("a", ("x", "y")), {"terms": {"a": ["x", "y"]}}),
        (Range("a", {"gte": 1, "lt": 2}), {"range": {"a": {"gte": 1, "lt": 2}}}),
        (Exists("a"), {"exists": {"field": "a"}}),
        (Not(Exists("a")), {"bool": {"must_not": [{"exists": {"field": "a"}}]}}),
        (
            And((Exists("a"), Exists("b"))),
            {"bool": {"filter": [{"exists": {"field": "a"}}, {"exists": {"field": "b"}}]}},
        ),
        (
            Or((Exists("a"), Not(Exists("b")))),
            {
                "bool": {
                    "should": [{"exists": {"field": "a"}}, {"bool": {"must_not": [{"exists": {"field": "b"}}]}}],
                    "minimum_should_match": 1,
                }
            },
        ),
    ],
)
def test_a_filter_becomes_a_query_that_does_not_score(found: Any, query: Any) -> None:
    assert build_filter(found) == query


def test_the_lexical_leg_asks_all_text_fields_with_their_boosts() -> None:
    body = build_lexical(FLAT, LexicalQuery("red fish"), 7, None)

    assert body == {
        "query": {
            "bool": {
                "must": [
                    {"multi_match": {"query": "red fish", "fields": ["title^2", "meta.body^1"], "type": "most_fields"}}
                ]
            }
        },
        "size": 7,
        "_source": ["title", "meta.body"],
        "track_total_hits": False,
    }


def test_the_lexical_leg_brings_the_best_passage_without_a_say_in_the_score() -> None:
    (nested,) = build_lexical(MANAGED, LexicalQuery("red"), 7, None)["query"]["bool"]["should"]

    assert nested["nested"]["boost"] == 0
    assert nested["nested"]["inner_hits"]["size"] == 1


def test_the_lexical_leg_filters_without_scoring() -> None:
    body = build_lexical(MANAGED, LexicalQuery("red"), 7, Exists("year"))

    assert body["query"]["bool"]["filter"] == [{"exists": {"field": "year"}}]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.kind)
def test_the_dense_leg_returns_no_more_than_depth_and_of_a_document_its_id(dialect: Any) -> None:
    body = dialect.dense_body(MANAGED, VECTOR, 7, None, 1)
    older = dialect.dense_body(replace(MANAGED, keeps_ids=False), VECTOR, 7, None, 1)

    assert (body["size"], body["stored_fields"], body["docvalue_fields"]) == (7, "_none_", ["doc_id"])
    assert older == with_stored_ids(body)
    assert (older["size"], older["_source"]) == (7, False)


def test_elasticsearch_puts_the_filter_into_its_knn() -> None:
    knn = ElasticsearchDialect().dense_body(MANAGED, VECTOR, 80, {"exists": {"field": "year"}}, 2)["knn"]

    assert knn["filter"] == {"exists": {"field": "year"}}
    assert (knn["field"], knn["k"], knn["num_candidates"]) == ("passages.vector", 80, 160)
    assert knn["query_vector"] == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(("depth", "candidates"), [(1, 100), (50, 100), (60, 120), (10_000, 10_000)])
def test_elasticsearch_looks_at_more_candidates_than_it_returns(depth: int, candidates: int) -> None:
    knn = ElasticsearchDialect().dense_body(MANAGED, VECTOR, depth, None, 1)["knn"]

    assert knn["num_candidates"] == candidates


def test_opensearch_ties_the_filter_of_nested_passages_to_their_documents() -> None:
    nested = OpenSearchDialect().dense_body(MANAGED, VECTOR, 80, {"exists": {"field": "year"}}, 2)["query"]["nested"]

    filters = nested["query"]["knn"]["passages.vector"]["filter"]["bool"]["filter"]
    assert filters == [{"term": {"unit": "document"}}, {"exists": {"field": "year"}}]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.kind)
def test_a_flat_index_is_searched_without_nesting(dialect: Any) -> None:
    body = orjson.dumps(dialect.dense_body(FLAT, VECTOR, 5, {"exists": {"field": "x"}}, 1))

    assert b"nested" not in body
    assert b"inner_hits" not in body
    assert b'"vec"' in body


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.kind)
@given(cosine=st.floats(-1, 1))
def test_a_dense_score_is_read_back_as_the_cosine(dialect: Any, cosine: float) -> None:
    assert dialect.cosine((1 + cosine) / 2, FLAT) == pytest.approx(cosine)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.kind)
def test_another_similarity_keeps_its_score(dialect: Any) -> None:
    assert dialect.cosine(0.25, replace(FLAT, similarity="l2_norm")) == 0.25


def test_a_vector_field_is_recognised_in_each_engines_mapping() -> None:
    elastic, opensearch = DIALECTS

    assert elastic.read_vector_field({"type": "dense_vector", "dims": 3, "similarity": "dot_product"}) == VectorField(
        3, "dot_product"
    )
    assert elastic.read_vector_field({"type": "dense_vector", "dims": 3}) == VectorField(3, "cosine")
    assert elastic.read_vector_field({"type": "dense_vector", "dims": 3, "element_type": "bit", "index": False}) == (
        VectorField(3, "cosine", "bit", indexed=False)
    )
    assert opensearch.read_vector_field({"type": "knn_vector", "dimension": 3}) == VectorField(3, "l2")
    method = {"space_type": "cosinesimil"}
    assert opensearch.read_vector_field(
        {"type": "knn_vector", "dimension": 3, "data_type": "byte", "method": method}
    ) == (VectorField(3, "cosinesimil", "byte"))
    assert elastic.read_vector_field({"type": "text"}) is opensearch.read_vector_field({"type": "dense_vector"}) is None
