"""The whitelist of queries: whose text is read, which of them demand all words, and which pass through and why."""

from __future__ import annotations

from typing import Any

import pytest

from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.text import SearchedText, TextReader

JSON = dict[str, Any]
LOOSE, STRICT = SearchedText("red sofa", False), SearchedText("red sofa", True)
MATCH: JSON = {"match": {"title": "red sofa"}}
PHRASE: JSON = {"match_phrase": {"title": "red sofa"}}
TERM: JSON = {"term": {"brand": "acme"}}


def several(**options: Any) -> JSON:
    return {"multi_match": {"query": "red sofa", "fields": ["title^2", "text"], **options}}


def search_ui() -> JSON:
    """As search-ui-elasticsearch-connector writes it."""
    kinds = [{"type": "best_fields", "operator": "and"}, {"type": "cross_fields"}]
    kinds += [{"type": "phrase"}, {"type": "phrase_prefix"}]
    clauses = [several(**kind) for kind in kinds]
    return {"bool": {"must": [{"bool": {"minimum_should_match": 1, "should": clauses}}], "filter": [TERM]}}


def searchkit() -> JSON:
    """As searchkit writes it, an object where a list could be."""
    fuzzy = [several(fuzziness="AUTO:4,8"), several(type="bool_prefix", boost=0.5)]
    inner = {"bool": {"should": [{"bool": {"should": fuzzy}}, several(type="phrase", boost=2)]}}
    return {"bool": {"filter": [TERM], "must": inner}}


@pytest.mark.parametrize(
    ("query", "reading"),
    [
        (MATCH, LOOSE),
        ({"match": {"title": {"query": "red sofa", "fuzziness": "AUTO", "boost": 2}}}, LOOSE),
        ({"match": {"title": {"query": "red sofa", "operator": "AND"}}}, STRICT),
        ({"match": {"title": {"query": "red sofa", "minimum_should_match": 1}}}, LOOSE),
        ({"match": {"title": {"query": "red sofa", "minimum_should_match": "100%"}}}, STRICT),
        ({"match": {"title": {"query": "red sofa", "minimum_should_match": "-1"}}}, LOOSE),
        (several(), LOOSE),
        (several(type="cross_fields"), LOOSE),
        (several(type="phrase"), STRICT),
        ({"multi_match": {"query": "red sofa"}}, LOOSE),
        ({"combined_fields": {"query": "red sofa", "fields": ["title"], "operator": "and"}}, STRICT),
        (PHRASE, STRICT),
        ({"match_phrase_prefix": {"title": "red sofa"}}, STRICT),
        ({"match_bool_prefix": {"title": "red sofa"}}, STRICT),
        ({"query_string": {"query": "red sofa", "default_field": "title"}}, LOOSE),
        ({"query_string": {"query": "red sofa", "default_operator": "AND"}}, STRICT),
        ({"simple_query_string": {"query": "red sofa", "fields": ["title"]}}, LOOSE),
        ({"bool": {"must": [MATCH], "filter": [TERM], "must_not": [TERM]}}, LOOSE),
        ({"bool": {"must": MATCH}}, LOOSE),
        ({"bool": {"must": [MATCH, TERM]}}, LOOSE),
        ({"bool": {"should": [MATCH, PHRASE]}}, LOOSE),
        ({"bool": {"should": [MATCH, several()], "minimum_should_match": 2}}, STRICT),
        ({"bool": {"must": [MATCH], "should": [PHRASE]}}, LOOSE),
        ({"bool": {"must": [PHRASE], "should": [MATCH]}}, STRICT),
        ({"bool": {"must": [MATCH], "should": [{"term": {"sku": {"value": "Red  Sofa"}}}]}}, LOOSE),
        ({"bool": {"must": [MATCH, {"match": {"brand": "acme"}}]}}, LOOSE),
        ({"dis_max": {"queries": [MATCH, PHRASE], "tie_breaker": 0.3}}, LOOSE),
        ({"dis_max": {"queries": [PHRASE]}}, STRICT),
        ({"bool": {"must": [MATCH], "should": [several(fields=["sku^3", "brand"])]}}, LOOSE),
        (search_ui(), LOOSE),
        (searchkit(), LOOSE),
    ],
)
def test_these_are_recognised(query: JSON, reading: SearchedText) -> None:
    assert TextReader(exact_fields={"brand", "sku"}).read(query) == reading


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        *(({"match": {"price": value}}, "a match of no text") for value in (5, True, 1.5, None)),
        ({"match": {"title": ""}}, "no text"),
        ({"match_all": {}}, "no text"),
        (TERM, "no text"),
        ({"bool": {"filter": [MATCH]}}, "no text"),
        ({"bool": {"must": [MATCH, {"match": {"text": "blue"}}]}}, "more than one text"),
        ({"bool": {"should": [MATCH, {"match": {"text": "couch"}}]}}, "more than one text"),
        ({"bool": {"must": [MATCH], "should": [TERM]}}, "a clause that places other things higher"),
        ({"bool": {"must": [MATCH], "should": [{"bool": {"must": [TERM]}}]}}, "a clause that places other things"),
        ({"bool": {"must": [MATCH], "unknown": 1}}, "query bool"),
        ({"bool": {"must": [MATCH], "mustNot": [TERM]}}, "query bool"),
        *(
            (
                {kind: {"query": MATCH, "filter": MATCH, "positive": MATCH, "organic": MATCH, "path": "x"}},
                f"query {kind}",
            )
            for kind in (
                *("constant_score", "boosting", "nested", "function_score", "script_score", "pinned", "rule"),
                *("rank_feature", "distance_feature", "percolate", "more_like_this", "intervals", "span_term"),
                *("span_near", "knn", "neural", "hybrid", "semantic", "sparse_vector", "template", "has_child"),
                *("text_expansion", "weighted_tokens", "common", "fuzzy"),
            )
        ),
        ({"wrapper": {"query": "eyJtYXRjaCI6eyJ0aXRsZSI6InJlZCJ9fQ=="}}, "query match"),
        *(
            ({"query_string": {"query": text}}, "operators in the text")
            for text in (
                *("title:red", '"red sofa"', "red~", "re*", "so?a", "red^2", "(red)", "[a TO b]", "{a TO b}", "a/b"),
                *("red\\!", "+red sofa", "red -sofa", "red AND sofa", "red OR sofa", "NOT sofa", "a && b", "a || b"),
                "!red",
            )
        ),
        *(
            ({"simple_query_string": {"query": text}}, "operators in the text")
            for text in ('"red"', "red | sofa", "a+b", "red -sofa", "re*", "(red)", "red~1")
        ),
        ({"query": MATCH}, "no plain query"),
        ({"match": {"title": "red"}, "term": {}}, "no plain query"),
        ({"match": ["red"]}, "query match"),
        ({"match": {"title": "red", "text": "sofa"}}, "query match"),
        ({"multi_match": {"query": "red sofa", "fields": ["sku^3", "brand"]}}, "no text"),
        ({"dis_max": {"queries": [MATCH], "unknown": 1}}, "query dis_max"),
        ({"dis_max": {"queries": MATCH}}, "query dis_max"),
        ({"bool": {"should": [MATCH] * 1_100}}, "too many clauses"),
    ],
)
def test_these_pass_through(query: JSON, reason: str) -> None:
    with pytest.raises(NotRecognised, match=f"^{reason}"):
        TextReader(exact_fields={"brand", "sku"}).read(query)


def test_words_with_marks_in_them_are_no_operators() -> None:
    reader = TextReader()

    assert reader.read({"query_string": {"query": "wi-fi & more, 50% off"}}).text == "wi-fi & more, 50% off"
    assert reader.read({"simple_query_string": {"query": "who is it?"}}).text == "who is it?"


def test_functions_of_an_application_are_reordered_only_where_the_settings_say_so() -> None:
    query = {"function_score": {"query": PHRASE, "functions": [{"weight": 2}]}}

    assert TextReader(function_score=True).read(query) == STRICT
    with pytest.raises(NotRecognised):
        TextReader(function_score=True).read({"function_score": {"query": MATCH, "min_score": 1}})
