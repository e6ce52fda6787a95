"""Rows of JSON and CSV of the systems that keep queries, in the shapes that they have there."""

from __future__ import annotations

from typing import Any

import pytest

from connector.judging.logs.outcome import NoSearch, SearchedFor, Unreadable
from connector.judging.logs.rows import Columns, parse_row

UBI_QUERY = {
    "timestamp": "2026-11-29T12:00:00Z",
    "query_id": "0c5f",
    "client_id": "browser-1",
    "application": "shop",
    "user_query": "red shoes",
    "query": '{"query":{"match":{"title":"red shoes size"}}}',
    "query_response_hit_ids": ["1", "2"],
}


def outcomes(row: dict[str, Any], **columns: str) -> list[Any]:
    return list(parse_row(row, Columns(**columns)))


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (UBI_QUERY, SearchedFor("red shoes")),
        ({"_index": "ubi_queries", "_id": "x", "_source": UBI_QUERY}, SearchedFor("red shoes")),
        (UBI_QUERY | {"user_query": None}, SearchedFor("red shoes size")),
        ({"action_name": "on_search", "query_id": "0c5f", "message": "red shoes"}, SearchedFor("red shoes")),
        ({"event": {"action": "search"}, "search": {"query": "red shoes"}}, SearchedFor("red shoes")),
        ({"event.action": "search", "search.query": "red shoes"}, SearchedFor("red shoes")),
        ({"query": {"match": {"title": "red shoes"}}, "size": 3}, SearchedFor("red shoes")),
        ({"Search term": "red shoes", "Event count": "1,204"}, SearchedFor("red shoes", 1204)),
        ({"term": "red shoes", "clicks": 3, "queries": 10}, SearchedFor("red shoes", 10)),
        ({"query": "red shoes", "docid": "17", "rating": "3"}, SearchedFor("red shoes", 0)),
        (
            {"Snapshot Name": "a", "Query Text": "red shoes", "Doc ID": "17", "Doc Position": "1"},
            SearchedFor("red shoes", 0),
        ),
        ({"query_id": 7, "query": "red shoes", "information_need": "count"}, SearchedFor("red shoes")),
        ({"_id": "q1", "text": "red shoes"}, SearchedFor("red shoes")),
        ({"q": 2024}, SearchedFor("2024")),
    ],
)
def test_the_text_is_found(row: dict[str, Any], found: SearchedFor) -> None:
    assert outcomes(row) == [found]


def test_one_object_may_hold_many_rows() -> None:
    reply = {"took": 3, "hits": {"total": {"value": 2}, "hits": [{"_source": UBI_QUERY}, {"_source": {"q": "hats"}}]}}
    quepid = {"case_name": "shop", "queries": [{"query_text": "hats", "ratings": {"17": 3}}]}
    rated = {"id_field": "id", "queries": [{"placeholders": {"$query": "hats"}, "relevant_documents": {"3": ["17"]}}]}
    app_search = {"meta": {}, "results": [{"term": "hats", "queries": 4, "clicks": 1}]}

    assert outcomes(reply) == [SearchedFor("red shoes"), SearchedFor("hats")]
    assert outcomes(quepid) == outcomes(rated) == [SearchedFor("hats", 0)]
    assert outcomes(app_search) == [SearchedFor("hats", 4)]


def test_a_named_field_is_read_and_no_other() -> None:
    row = {"query": "no", "request": {"params": {"term": "yes"}, "hits": 5}}

    assert outcomes(row, text="request.params.term", count="request.hits") == [SearchedFor("yes", 5)]
    assert outcomes({"user_query": "no"}, text="query") == [NoSearch("no text was searched for")]


@pytest.mark.parametrize(
    "row",
    [
        {"index": {"_index": "ubi_queries"}},
        {"action_name": "click", "query_id": "0c5f", "message": "red shoes"},
        {"event": {"action": "search_click"}, "search": {"query": "red shoes"}},
        UBI_QUERY | {"user_query": "", "query": None},
        {"query": {"match_all": {}}},
    ],
)
def test_what_is_no_search_is_told_from_what_cannot_be_read(row: dict[str, Any]) -> None:
    (outcome,) = outcomes(row)

    assert isinstance(outcome, NoSearch)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"title": "Red shoes", "price": 3}, "title, price"),
        ({"q": ["red", "shoes"]}, "no text"),
        ({"query": "shoes", "count": "many"}, "no count"),
        ({"query": {"match": {}, "term": {}}}, "one key"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(row: dict[str, Any], reason: str) -> None:
    (outcome,) = outcomes(row)

    assert isinstance(outcome, Unreadable)
    assert reason in outcome.reason
