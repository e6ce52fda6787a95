"""The filter that is taken out of an application's query, against what the engines themselves find for that query."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indices.scratch import NDJSON, send_bulk, unique_name
from support.runs.effort import IS_SOAK

from connector.clusters.dialect import build_filter
from connector.own_query.read import read_own_query
from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live

JSON = dict[str, Any]
TITLES = ("green tea", "red shoes", "green shoes", "tea for the red room", "room")
MAPPINGS: JSON = {
    "properties": {
        "title": {"type": "text"},
        "brand": {"type": "keyword"},
        "year": {"type": "integer"},
        "reviews": {"type": "nested", "properties": {"text": {"type": "text"}, "stars": {"type": "integer"}}},
    }
}

words = st.sampled_from(("tea", "green tea", "red shoes", "room"))
looking = st.one_of(
    words.map(lambda text: {"match": {"title": text}}),
    words.map(lambda text: {"match": {"title": {"query": text, "operator": "and"}}}),
    words.map(lambda text: {"match_phrase": {"title": text}}),
    words.map(lambda text: {"multi_match": {"query": text, "fields": ["title", "reviews.text"]}}),
    words.map(lambda text: {"query_string": {"query": f"{text} -shoes", "fields": ["title"]}}),
    words.map(lambda text: {"simple_query_string": {"query": f"{text} -red", "fields": ["title"]}}),
)
exact: st.SearchStrategy[JSON] = st.one_of(
    st.sampled_from("abc").map(lambda brand: {"term": {"brand": brand}}),
    st.integers(1, 3).map(lambda year: {"range": {"year": {"gte": year}}}),
    st.integers(1, 3).map(lambda year: {"match": {"year": year}}),
    st.sampled_from(({"exists": {"field": "year"}}, {"wildcard": {"title": "*oo*"}}, {"match_all": {}})),
)
in_reviews = st.builds(
    lambda text, stars, forbids: {
        "nested": {
            "path": "reviews",
            "query": {
                "bool": {
                    "must": {"match": {"reviews.text": text}},
                    "must_not" if forbids else "filter": {"term": {"reviews.stars": stars}},
                }
            },
        }
    },
    words,
    st.integers(1, 3),
    st.booleans(),
)


def combined(queries: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSON]:
    """A query of others."""
    some = st.lists(queries, max_size=2)
    several = st.lists(queries, min_size=1, max_size=3)
    minimum = st.sampled_from((None, 0, 1, 2, "-1", "75%", "1<50%"))
    boolean = st.builds(
        lambda must, filters, spelling, must_not, should, least: {
            "bool": {"must": must, "filter": filters, spelling: must_not, "should": should}
            | ({} if least is None else {"minimum_should_match": least})
        },
        some, some, st.sampled_from(("must_not", "mustNot")), st.lists(queries, max_size=1),
        st.lists(queries, max_size=3), minimum,
    )  # fmt: skip
    return st.one_of(
        boolean,
        boolean,
        several.map(lambda found: {"dis_max": {"queries": found}}),
        queries.map(lambda query: {"constant_score": {"filter": query}}),
        st.builds(
            lambda query, least: {"function_score": {"query": query, "weight": 2} | least},
            queries, st.sampled_from(({}, {"min_score": 1.5})),
        ),
        st.builds(lambda query, other: {"boosting": {"positive": query, "negative": other, "negative_boost": 0.5}},
                  queries, queries),
    )  # fmt: skip


queries = st.recursive(looking | exact | in_reviews, combined, max_leaves=8)


@pytest.fixture(scope="module", params=["elasticsearch", "opensearch"])
def shelf(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of an index of 45 small documents."""
    engine: ClusterSettings = request.getfixturevalue(request.param)
    name = unique_name()
    with httpx.Client(base_url=f"{engine.url}/{name}", timeout=60) as client:
        client.put("", json={"mappings": MAPPINGS, "settings": {"number_of_replicas": 0}}).raise_for_status()
        lines = []
        for number in range(45):
            document: JSON = {"title": TITLES[number % 5], "brand": "abc"[number % 3]}
            if number % 4:
                document |= {"year": number % 4}
            document["reviews"] = [{"text": TITLES[(number + at) % 5], "stars": at + 1} for at in range(number % 3)]
            lines += [{"index": {"_id": str(number)}}, document]
        send_bulk(client, "/_bulk?refresh=true", lines)
        yield client
        client.delete("")


def send(client: httpx.Client, path: str, lines: list[JSON]) -> JSON:
    content = "".join(json.dumps(line) + "\n" for line in lines)
    reply: JSON = client.post(path, content=content, headers=NDJSON).json()
    return reply


@given(st.lists(queries, min_size=12, max_size=12))
@settings(max_examples=12, deadline=None, derandomize=not IS_SOAK, suppress_health_check=list(HealthCheck))
def test_what_a_query_matches_lies_within_its_filter(shelf: httpx.Client, asked: list[JSON]) -> None:
    filters = [build_filter(own.filter) if (own := read_own_query(query)).filter else None for query in asked]
    both = [[query, found or {"match_all": {}}] for query, found in zip(asked, filters, strict=True)]
    bodies = [body for pair in both for query in pair for body in ({}, {"query": query, "size": 50, "_source": False})]
    replies = send(shelf, "/_msearch", bodies)["responses"]

    assert not [reply["error"] for reply in replies if "error" in reply]
    for query, found, matching, allowed in zip(asked, filters, replies[::2], replies[1::2], strict=True):
        refused = ids(matching) - ids(allowed)
        assert not refused, f"{query} matches {refused}, which {found} refuses"


def ids(reply: JSON) -> set[str]:
    return {hit["_id"] for hit in reply["hits"]["hits"]}
