"""Queries as applications write them: the text that they search for, and what they let through."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest

from connector.clusters.dialect import build_filter
from connector.clusters.embedded.sql import build_sql
from connector.errors import FilterError, QueryError
from connector.filters import And, EngineQuery, Filter, Not, Terms, check_filter, parse_filter
from connector.own_query.read import read_own_query

JSON = dict[str, Any]

SHOP: JSON = {  # what sells is placed higher, what is out of stock lower
    "function_score": {
        "query": {
            "bool": {
                "must": [
                    {"multi_match": {"query": "red shoes", "fields": ["title^3", "text"], "type": "cross_fields"}},
                    {"term": {"market": "de"}},
                ],
                "should": [
                    {"match_phrase": {"title": {"query": "red shoes", "slop": 2, "boost": 5}}},
                    {"match": {"brand": {"query": "nike", "boost": 1.5}}},
                    {"rank_feature": {"field": "popularity"}},
                ],
                "filter": {"range": {"price": {"lte": 100}}},
                "must_not": [{"term": {"hidden": True}}],
            }
        },
        "functions": [
            {"filter": {"match": {"title": "sale"}}, "weight": 2},
            {"field_value_factor": {"field": "sales", "modifier": "log1p", "missing": 0}},
        ],
        "score_mode": "sum",
    }
}
WIKI: JSON = {  # the phrase before the words, the title before the text, slips forgiven
    "bool": {
        "should": [
            {"match_phrase": {"text": {"query": "history of tea", "boost": 4}}},
            {"match": {"title": {"query": "history of tea", "fuzziness": "AUTO", "prefix_length": 1}}},
            {"match": {"text": {"query": "history of tea", "operator": "and"}}},
            {"constant_score": {"filter": {"match": {"title.exact": "history of tea"}}, "boost": 10}},
        ],
        "minimum_should_match": 1,
        "filter": [{"term": {"namespace": 0}}, {"terms": {"lang": ["en", "simple"]}}],
    }
}
BEST_FIELD: JSON = {
    "dis_max": {
        "tie_breaker": 0.2,
        "queries": [
            {"bool": {"must": {"match": {"title": "green tea"}}, "filter": {"term": {"kind": "page"}}}},
            {"bool": {"must": {"match": {"text": "green tea"}}, "filter": {"term": {"kind": "talk"}}}},
        ],
    }
}
SYNTAX: JSON = {
    "bool": {
        "must": {"query_string": {"query": '+tea -bags "first flush"~2 origin:assam^2 AND year:[2000 TO *]'}},
        "filter": [{"exists": {"field": "price"}}],
    }
}
REVIEWS: JSON = {
    "bool": {
        "should": [
            {"match": {"title": "quiet fan"}},
            {
                "nested": {
                    "path": "reviews",
                    "query": {"bool": {"must": {"match": {"reviews.text": "quiet fan"}},
                                       "filter": {"range": {"reviews.stars": {"gte": 4}}}}},
                    "score_mode": "max",
                    "inner_hits": {"size": 1},
                }
            },
        ],
        "must": [{"nested": {"path": "offers", "query": {"term": {"offers.shop": "a"}}, "inner_hits": {}}}],
    }
}  # fmt: skip
SEARCH_UI: JSON = {
    "bool": {
        "must": [
            {
                "bool": {
                    "minimum_should_match": 1,
                    "should": [
                        {"multi_match": {"query": "alps hike", "fields": ["name"], "type": kind, "operator": "and"}}
                        for kind in ("best_fields", "cross_fields", "phrase", "phrase_prefix")
                    ],
                }
            }
        ],
        "filter": [{"term": {"state": "open"}}],
    }
}


def term(field: str, value: Any) -> JSON:
    return {"term": {field: value}}


def filtered(*found: JSON) -> JSON:
    return {"bool": {"filter": list(found)}}


@pytest.mark.parametrize(
    ("query", "text", "query_of_filter"),
    [
        (
            SHOP,
            "red shoes",
            filtered(
                term("market", "de"),
                {"range": {"price": {"lte": 100}}},
                {"bool": {"must_not": [term("hidden", True)]}},
            ),
        ),
        (WIKI, "history of tea", filtered(term("namespace", 0), {"terms": {"lang": ["en", "simple"]}})),
        (
            BEST_FIELD,
            "green tea",
            {"bool": {"should": [term("kind", "page"), term("kind", "talk")], "minimum_should_match": 1}},
        ),
        (SYNTAX, "tea first flush assam", {"exists": {"field": "price"}}),
        (REVIEWS, "quiet fan", {"nested": {"path": "offers", "query": term("offers.shop", "a")}}),
        (SEARCH_UI, "alps hike", term("state", "open")),
    ],
    ids=["shop", "wiki", "dis_max", "query_string", "nested", "search-ui"],
)
def test_a_query_of_an_application_is_read_and_left_as_it_is(query: JSON, text: str, query_of_filter: JSON) -> None:
    before = copy.deepcopy(query)
    own = read_own_query(query)

    assert own.text == text, own.why
    assert own.filter == EngineQuery(query_of_filter)
    assert query == before


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"match": {"title": "tea"}}, "tea"),
        ({"match": {"title": {"query": " green  tea ", "fuzziness": 1}}}, "green tea"),
        ({"match_phrase_prefix": {"title": "green te"}}, "green te"),
        ({"match_bool_prefix": {"title": {"query": "green te"}}}, "green te"),
        ({"combined_fields": {"query": "tea", "fields": ["a", "b"]}}, "tea"),
        ({"multi_match": {"query": 1984, "fields": ["title", "text"]}}, "1984"),
        ({"simple_query_string": {"query": '"green tea" + (leaf | bud) -bags te*'}}, "green tea leaf bud te"),
        ({"fuzzy": {"title": {"value": "teaa"}}}, "teaa"),
        ({"boosting": {"positive": {"match": {"t": "tea"}}, "negative": {"match": {"t": "bag"}}}}, "tea"),
        ({"script_score": {"query": {"match": {"t": "tea"}}, "script": {"source": "_score * 2"}}}, "tea"),
        ({"has_parent": {"parent_type": "page", "query": {"match": {"t": "tea"}}}}, "tea"),
        ({"has_child": {"type": "note", "query": {"match": {"t": "tea"}}, "max_children": 3}}, "tea"),
        ({"pinned": {"ids": ["1"], "organic": {"match": {"t": "tea"}}}}, "tea"),
        ({"more_like_this": {"fields": ["t"], "like": ["green tea", {"_id": "1"}]}}, "green tea"),
        ({"span_near": {"clauses": [{"span_term": {"t": "green"}}, {"span_term": {"t": {"value": "tea"}}}]}},
         "green tea"),
        ({"span_not": {"include": {"span_term": {"t": "tea"}}, "exclude": {"span_term": {"t": "bag"}}}}, "tea"),
        ({"intervals": {"t": {"all_of": {"ordered": True, "intervals": [
            {"match": {"query": "green tea"}},
            {"any_of": {"intervals": [{"match": {"query": "hot"}}, {"match": {"query": "iced"}}]}},
        ]}}}}, "green tea hot"),
        ({"semantic": {"field": "t", "query": "green tea"}}, "green tea"),
        ({"neural": {"v": {"query_text": "green tea", "model_id": "m", "k": 5}}}, "green tea"),
        ({"knn": {"field": "v", "query_vector_builder": {"text_embedding": {"model_text": "tea"}}}}, "tea"),
        ({"wrapper": {"query": base64.b64encode(json.dumps({"match": {"t": "tea"}}).encode()).decode()}}, "tea"),
        # no text
        ({"rank_feature": {"field": "popularity"}}, None),
        ({"match": {"year": 1984}}, None),
        ({"match_all": {}}, None),
        ({"term": {"title": "tea"}}, None),
        ({"query_string": {"query": "*"}}, None),
        ({"knn": {"field": "v", "query_vector": [1, 2], "k": 5}}, None),
        ({"bool": {"filter": [{"match": {"title": "tea"}}]}}, None),
        ({"bool": {"must_not": [{"match": {"title": "tea"}}]}}, None),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_text_is_found_in_the_parts_that_give_the_scores(query: JSON, text: str | None) -> None:
    assert read_own_query(query).text == text


def any_of(*texts: str) -> JSON:
    return {"bool": {"should": [{"match": {f"f{at}": text}} for at, text in enumerate(texts)]}}


@pytest.mark.parametrize(
    ("query", "text", "why"),
    [
        (any_of("green tea", "Green Tea"), "green tea", "all parts hold it"),
        ({"bool": {"must": {"match": {"t": "tea"}}, "should": {"match": {"brand": "tea of ours"}}}},
         "tea", "all parts that have to match hold it"),
        (any_of("green", "tea", "green tea"), "green tea", "it holds all words of the other texts"),
        (any_of("tv", "tv", "television"), "tv", "2 of 3 parts hold it"),
        (any_of("tv", "television"), None,
         "its parts hold different texts ('tv', 'television'), none of which is clearly what was typed"),
        ({"term": {"a": 1}}, None, "no part that gives the query its scores holds a text"),
    ],
)  # fmt: skip
def test_one_of_several_texts_is_chosen_for_a_reason_or_none_is(query: JSON, text: str | None, why: str) -> None:
    own = read_own_query(query)

    assert (own.text, own.why) == (text, why)


TEA: JSON = {"match": {"title": "tea"}}
A, B, C = term("a", 1), term("b", 2), term("c", 3)


def branch(found: JSON) -> JSON:
    return {"bool": {"must": TEA, "filter": found}}


@pytest.mark.parametrize(
    ("query", "query_of_filter"),
    [
        (TEA, None),
        ({"match_all": {}}, None),
        ({"bool": {"must": [TEA, {"match_all": {}}]}}, None),
        (A, A),
        ({"bool": {"must": [TEA, A]}}, A),
        ({"bool": {"must": TEA, "filter": {"match": {"kind": "page"}}}}, {"match": {"kind": "page"}}),
        ({"bool": {"must": [TEA], "must_not": A}}, {"bool": {"must_not": [A]}}),
        ({"bool": {"must": [TEA], "must_not": [A], "mustNot": B}}, {"bool": {"must_not": [A, B]}}),
        ({"bool": {"must": [TEA, {"match": {"year": 1984}}]}}, {"match": {"year": 1984}}),
        # clauses that may match but need not say nothing of a document
        ({"bool": {"must": [TEA], "should": [A, B]}}, None),
        ({"bool": {"should": [TEA, A]}}, None),
        ({"bool": {"must": [TEA], "should": [A, B], "minimum_should_match": 1}},
         {"bool": {"should": [A, B], "minimum_should_match": 1}}),
        ({"bool": {"should": [branch(A), branch(B)]}}, {"bool": {"should": [A, B], "minimum_should_match": 1}}),
        ({"bool": {"should": [branch(A), branch(B), TEA]}}, None),
        ({"bool": {"should": [branch(A), branch(B), TEA], "minimum_should_match": "-1"}},
         {"bool": {"should": [A, B], "minimum_should_match": 1}}),
        ({"bool": {"should": [branch(A), branch(B), branch(C)], "minimum_should_match": "2<75%"}},
         {"bool": {"should": [A, B, C], "minimum_should_match": 2}}),
        # through what changes scores alone
        ({"function_score": {"functions": [{"filter": A, "weight": 2}]}}, None),
        ({"function_score": {"query": A, "functions": []}}, A),
        ({"function_score": {"query": A, "min_score": 2}}, {"function_score": {"query": A, "min_score": 2}}),
        ({"function_score": {"query": branch(A), "min_score": 2}}, A),
        ({"boosting": {"positive": branch(A), "negative": B}}, A),
        ({"constant_score": {"filter": {"bool": {"must": [TEA, A]}}}}, A),
        ({"script_score": {"query": branch(A), "script": {}}}, A),
        ({"nested": {"path": "p", "query": branch(A), "inner_hits": {}}}, {"nested": {"path": "p", "query": A}}),
        ({"has_child": {"type": "n", "query": branch(A), "max_children": 2}}, {"has_child": {"type": "n", "query": A}}),
        ({"pinned": {"ids": ["1"], "organic": branch(A)}},
         {"bool": {"should": [{"ids": {"values": ["1"]}}, A], "minimum_should_match": 1}}),
        ({"rule": {"organic": branch(A), "match_criteria": {}}}, None),
        ({"hybrid": {"queries": [branch(A), branch(B)]}}, {"bool": {"should": [A, B], "minimum_should_match": 1}}),
        ({"bool": {"must": [TEA, {"knn": {"field": "v", "query_vector": [1], "k": 3}}]}}, None),
        ({"bool": {"must": [TEA, {"nested": {"path": "p", "inner_hits": {"name": "x"},
                                             "query": {"term": {"inner_hits": 1}}}}]}},
         {"nested": {"path": "p", "query": {"term": {"inner_hits": 1}}}}),
    ],
)  # fmt: skip
def test_the_filter_is_what_every_match_fulfils(query: JSON, query_of_filter: JSON | None) -> None:
    assert read_own_query(query).filter == (EngineQuery(query_of_filter) if query_of_filter else None)


def test_a_match_of_a_field_without_running_text_is_part_of_the_filter() -> None:
    query: JSON = {
        "bool": {
            "must": [
                {"multi_match": {"query": "running shoes", "fields": ["title^2", "brand"]}},
                {"match": {"brand": "nike"}},
                {"multi_match": {"query": "red", "fields": ["color^2", "brand"]}},
                {"query_string": {"query": "brand:nike AND color:(red OR blue)"}},
            ]
        }
    }
    must = query["bool"]["must"]
    own = read_own_query(query, exact_fields={"brand", "color"})

    assert read_own_query(query).text is None
    assert own.text == "running shoes"
    assert own.filter == EngineQuery(filtered(*must[1:]))


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ([TEA], "an engine's query is an object, not list"),
        ({"query": TEA, "size": 10}, "that is the body of a whole search; give what stands under its key 'query'"),
        ({"match": {}, "term": {}}, "one key, its kind, such as bool or match; this one has match, term"),
        ({}, "this one has none"),
        ({"bool": {"must": ["tea"]}}, "an engine's query is an object, not str"),
        ({"bool": {"filter": [{"a": 1, "b": 2}]}}, "this one has a, b"),
    ],
)
def test_what_is_no_query_is_refused(query: Any, reason: str) -> None:
    with pytest.raises(QueryError) as raised:
        read_own_query(query)

    assert reason in str(raised.value)


def test_a_query_that_is_nested_without_end_is_refused() -> None:
    query = TEA
    for _ in range(1_000):
        query = {"bool": {"must": [query]}}

    with pytest.raises(QueryError, match="nested more than"):
        read_own_query(query)


def test_a_filter_of_an_engine_goes_to_engines_alone() -> None:
    own = read_own_query(branch(A)).filter
    assert own
    joined: Filter = And((Terms("year", (2024,)), Not(own)))
    checked = check_filter(parse_filter(joined), {"year": "integer"})
    assert checked == joined

    assert build_filter(checked) == filtered({"terms": {"year": [2024]}}, {"bool": {"must_not": [A]}})
    with pytest.raises(FilterError, match="embedded store does not speak the engines' query language"):
        build_sql(checked, {"year": "integer"})
    with pytest.raises(FilterError, match="unknown filter"):
        parse_filter({"bool": {"filter": []}})
