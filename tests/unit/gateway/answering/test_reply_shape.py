"""The rim of a reply: `filter_path`, `pretty`, and what two pages have in common."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector.gateway.answering.filter_path import read_filter
from connector.gateway.answering.pretty import indent
from connector.gateway.answering.shadow import compare, page_ids
from connector.gateway.reading.raw_json import members, write

REPLY: dict[str, Any] = {
    "took": 3,
    "_shards": {"total": 1, "failed": 0},
    "hits": {
        "total": {"value": 2, "relation": "eq"},
        "hits": [{"_id": "a", "_source": {"name": "x", "a.b": 1}}, {"_id": "b", "_source": {"other": 1}}],
    },
    "aggregations": {"sterms#brand": {"buckets": [{"key": "x", "doc_count": 2}]}},
}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("took", {"took": 3}),
        ("hits.hits._id", {"hits": {"hits": [{"_id": "a"}, {"_id": "b"}]}}),
        ("hits.hits._source.name", {"hits": {"hits": [{"_source": {"name": "x"}}]}}),
        ("**._id", {"hits": {"hits": [{"_id": "a"}, {"_id": "b"}]}}),
        ("h*.total", {"hits": {"total": {"value": 2, "relation": "eq"}}}),
        ("hits.total.*e", {"hits": {"total": {"value": 2}}}),
        ("nothing", {}),
        ("hits,-hits.hits", {"hits": {"total": {"value": 2, "relation": "eq"}}}),
        ("-_shards,-hits,-aggregations", {"took": 3}),
        (
            "hits.hits,-**._id,-hits.hits._source.name",
            {"hits": {"hits": [{"_source": {"a.b": 1}}, {"_source": {"other": 1}}]}},
        ),
        ("hits.total,-hits.total.*", {}),
        ("aggregations.**.key", {"aggregations": {"sterms#brand": {"buckets": [{"key": "x"}]}}}),
    ],
)
def test_filter_path_leaves_what_the_engines_leave(text: str, left: Any) -> None:
    raw = members(json.dumps(REPLY).encode())

    assert json.loads(write(read_filter(text).apply(raw))) == left


@pytest.mark.parametrize(
    ("text", "are_left"), [("hits.total", False), ("-hits.hits", False), ("", True), ("**._id", True)]
)
def test_whether_hits_are_left_is_known_before(text: str, are_left: bool) -> None:
    assert read_filter(text).shows("hits", "hits") is are_left


def test_pretty_is_indented_and_keeps_every_number_and_text() -> None:
    written = b'{"a":[1.10,{"b":"x , { \\" y"}],"c":{},"d":[],"e":1E-7}'

    assert indent(written).decode() == (
        '{\n  "a" : [\n    1.10,\n    {\n      "b" : "x , { \\" y"\n    }\n  ],\n  "c" : { },\n  "d" : [ ],\n'
        '  "e" : 1E-7\n}\n'
    )


def test_two_pages_are_compared_by_what_they_share() -> None:
    same, turned, apart = (compare("abc", other) for other in ("abc", "cba", "xyz"))

    assert (same.overlap, same.tau) == (3, 1)
    assert (turned.overlap, turned.tau) == (3, -1)
    assert (apart.k, apart.overlap, apart.tau) == (3, 0, None)


@pytest.mark.parametrize(
    ("reply", "ids"),
    [
        ({"took": 1, "hits": {"hits": [{"_index": "a", "_id": "2"}, {"_index": "b", "_id": "1"}]}}, ["a/2", "b/1"]),
        ({"hits": {"hits": []}}, []),
        ({"hits": {"hits": [{"_id": "2"}]}}, None),
        ({"hits": {"hits": [{"_source": {}}]}}, None),
        ({"hits": {"total": 1}}, None),
        ({"took": 1}, None),
        ([], None),
    ],
)
def test_a_reply_that_does_not_name_its_documents_is_not_compared(reply: Any, ids: list[str] | None) -> None:
    assert page_ids(json.dumps(reply).encode()) == ids
