"""The bodies of our requests: they are made of the caller's own bytes, and each has its own parts."""

from __future__ import annotations

import json
from typing import Any

from connector.gateway.ordering.bodies import lexical_body, page_body, tail_body
from connector.gateway.reading.body import SearchBody, read_search
from connector.gateway.reading.parameters import Parameters
from connector.gateway.reading.text import TextReader
from connector.schema import Fields, IndexSchema, PassageSettings, VectorSettings

QUERY: dict[str, Any] = {"match": {"title": "red sofa"}}
SCHEMA = IndexSchema(
    Fields({"title": 1.0}, {}), None, "unknown", PassageSettings(0, 0), VectorSettings("", 0, 0), managed=False
)


def read(body: bytes) -> SearchBody:
    return read_search(body, Parameters(), TextReader(), retrievers=True)


LARGE = b'{"bool": {"must":[{"match":{"title":"red sofa"}}],"filter":{"term":{"n":123456789012345678901234567890}}}}'


def test_the_bytes_that_go_on_are_the_callers() -> None:
    found = read(b'{"query": ' + LARGE + b', "aggs" : {"a":{"terms":{"field" : "n","missing":1.10}}}, "size":2}')
    sent = lexical_body(found, SCHEMA, window=40, passages=1)

    assert LARGE in sent
    assert b'{"a":{"terms":{"field" : "n","missing":1.10}}}' in sent
    assert b'"size":40' in sent
    assert LARGE in page_body(found, SCHEMA, ["a", "b"])


def test_each_request_has_its_own_parts() -> None:
    body = {
        "query": QUERY, "aggs": {}, "suggest": {}, "profile": True, "track_total_hits": False, "timeout": "1s",
        "post_filter": {"term": {"a": 1}}, "min_score": 0.5, "_source": ["a"], "fields": ["b"], "version": True,
        "highlight": {"fields": {"title": {}}}, "runtime_mappings": {}, "explain": True,
    }  # fmt: skip
    found = read(json.dumps(body).encode())
    lexical, page, tail = (
        json.loads(sent)
        for sent in (
            lexical_body(found, SCHEMA, window=40, passages=1),
            page_body(found, SCHEMA, ["a"]),
            tail_body(found, SCHEMA, ["a"], start=3, size=2),
        )
    )

    shared = {"query", "size", "timeout", "runtime_mappings", "_source", "track_total_hits"}
    matching, describing = {"post_filter", "min_score"}, {"fields", "version", "highlight", "explain"}
    assert set(lexical) == shared | matching | {"aggs", "suggest", "profile"}
    assert lexical["track_total_hits"] is False
    assert set(page) == shared | describing
    assert set(tail) == shared | matching | describing | {"from"}
    assert page["_source"] == ["a"]
    assert page["highlight"] == {"highlight_query": QUERY, "fields": {"title": {}}}
