"""The rim of a reply: `filter_path`, `pretty`, scores, and what two pages have in common."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from support.parts import ranking

from connector.gateway.searching.filter_path import read_filter
from connector.gateway.searching.pretty import indent
from connector.gateway.searching.raw_json import members, write
from connector.gateway.searching.scores import tail_score, window_scores
from connector.gateway.searching.shadow import compare

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
    ("text", "shown"), [("hits.total", False), ("-hits.hits", False), ("", True), ("**._id", True)]
)
def test_whether_hits_are_left_is_known_before(text: str, shown: bool) -> None:
    assert read_filter(text).shows("hits", "hits") is shown


def test_pretty_is_indented_and_keeps_every_number_and_text() -> None:
    written = b'{"a":[1.10,{"b":"x , { \\" y"}],"c":{},"d":[],"e":1E-7}'

    assert indent(written).decode() == (
        '{\n  "a" : [\n    1.10,\n    {\n      "b" : "x , { \\" y"\n    }\n  ],\n  "c" : { },\n  "d" : [ ],\n'
        '  "e" : 1E-7\n}\n'
    )


def test_the_lexical_scores_are_dealt_out_in_their_order() -> None:
    order = ranking("d", "b", "a", "c")
    scores = window_scores("lexical", order, lexical=[2.0, 3.0, 1.5], dense=(), placed=frozenset())

    assert scores == (3.0, 2.0, 1.5, 1.5)
    assert tail_score("lexical", 9.0, scores) == 1.5
    assert tail_score("lexical", 1.0, scores) == 1.0


def test_what_only_dense_legs_found_has_scores_too() -> None:
    dense = ranking(("a", 0.5), ("b", -0.9))

    assert window_scores("lexical", ranking("b", "a"), lexical=[], dense=dense, placed=frozenset()) == pytest.approx(
        (0.75, 0.05)
    )


def test_scores_of_the_model_fall_and_stand_above_the_tail() -> None:
    order = ranking(("a", 2.0), ("b", 2.5), ("c", 0.02), ("d", 0.01))
    scores = window_scores("model", order, lexical=[9.0], dense=(), placed=frozenset({"a", "b"}))

    assert list(scores) == sorted(scores, reverse=True)
    assert all(1 < score <= 2 for score in scores)
    assert 0 < tail_score("model", 12.0, scores) < 1
    assert math.isclose(tail_score("model", 1.0, scores), 0.5)


def test_two_pages_are_compared_by_what_they_share() -> None:
    same, turned, apart = (compare("abc", other) for other in ("abc", "cba", "xyz"))

    assert (same.overlap, same.tau) == (3, 1)
    assert (turned.overlap, turned.tau) == (3, -1)
    assert (apart.k, apart.overlap, apart.tau) == (3, 0, None)
