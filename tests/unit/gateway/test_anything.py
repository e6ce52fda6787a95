"""Whatever is sent as a search, it is recognised or it passes through: nothing of it is a fault of ours."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.gateway.answering.complaints import Complaints
from connector.gateway.answering.filter_path import read_filter
from connector.gateway.answering.pretty import indent
from connector.gateway.ordering.order import Degraded
from connector.gateway.reading.body import read_search
from connector.gateway.reading.not_recognised import NotRecognised
from connector.gateway.reading.parameters import read_search_parameters
from connector.gateway.reading.raw_json import members, write
from connector.gateway.reading.target import read_target
from connector.gateway.reading.text import TextReader

WORDS = st.sampled_from(
    [
        *("query", "match", "multi_match", "bool", "must", "should", "filter", "must_not", "minimum_should_match"),
        *("query_string", "dis_max", "queries", "term", "title", "fields", "operator", "and", "red sofa", "", "_name"),
        *("retriever", "standard", "size", "from", "sort", "_score", "aggs", "wrapper", "function_score", "75%"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-5, 20) | st.floats(allow_nan=False, allow_infinity=False) | WORDS
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=12
)
QUERIES = st.recursive(
    st.dictionaries(WORDS, ANYTHING, max_size=2),
    lambda inner: st.fixed_dictionaries(
        {"bool": st.dictionaries(WORDS, inner | st.lists(inner, max_size=3), max_size=3)}
    ),
    max_leaves=6,
)


@given(query=QUERIES, rest=st.dictionaries(WORDS, ANYTHING, max_size=2))
def test_a_body_of_anything_is_read_or_passes(query: Any, rest: dict[str, Any]) -> None:
    with contextlib.suppress(NotRecognised):
        found = read_search(
            json.dumps({"query": query} | rest).encode(),
            read_search_parameters(b""),
            TextReader({"title"}, function_score=True),
            retrievers=True,
        )
        assert found.text.strip()
        assert found.size > 0


@given(data=st.binary(max_size=40), query_string=st.binary(max_size=30), path=st.binary(max_size=30))
def test_bytes_of_anything_are_read_or_pass(data: bytes, query_string: bytes, path: bytes) -> None:
    read_target(b"/" + path)
    with contextlib.suppress(NotRecognised):
        read_search(data, read_search_parameters(query_string), TextReader(), retrievers=True)


@given(value=st.dictionaries(st.text(max_size=4), ANYTHING, max_size=3), path=st.text("ab.*-,\\ ", max_size=12))
def test_what_is_indented_or_filtered_is_the_same_json(value: dict[str, Any], path: str) -> None:
    data = json.dumps(value).encode()

    assert json.loads(indent(data)) == value
    json.loads(write(read_filter(path).apply(members(data))))


def test_a_part_that_fails_all_the_time_is_complained_of_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    complaints = Complaints()
    for _ in range(5):
        complaints.add("shop", frozenset({"dense"}), Degraded("encode", "the model broke"))
        complaints.add("shop", frozenset({"dense"}), Degraded("dense", "no field for [red sofa]"))
    messages = [record.getMessage() for record in caplog.records]

    assert len(messages) == 2
    assert "the model broke" in messages[0]
    assert "red sofa" not in messages[1]
