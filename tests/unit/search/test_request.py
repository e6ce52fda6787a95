"""What a request may ask for, and what becomes of the sizes that it leaves open."""

from __future__ import annotations

from typing import Any

import pytest
from support.searches import search

from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import (
    ConnectorError,
    FilterError,
    QueryError,
    SettingsError,
)
from connector.rerankers.worker import WorkerClient
from connector.search.request import MAX_QUERY_CHARS


@pytest.mark.parametrize(
    ("asked", "sizes", "note"),
    [
        ({"depth": 3}, (5, 5), "window is 6, not 10: the legs find no more documents"),
        ({"depth": 2}, (4, 4), "k is 4, not 5: the window holds no more documents"),
        ({"window": 2}, (2, 2), "k is 2, not 5: the window holds no more documents"),
        ({"depth": 2, "rerank": False}, (4, 0), "k is 4, not 5: the legs find no more documents"),
        ({"k": 3}, (3, 3), None),
        ({"k": 20, "rerank": False}, (5, 0), None),
    ],
)
async def test_what_a_request_lowers_pulls_the_other_sizes_down_and_the_answer_says_so(
    index: EmbeddedIndex, worker: WorkerClient, asked: dict[str, Any], sizes: tuple[int, int], note: str | None
) -> None:
    response = await search(index, worker, **asked)
    most, reranked = sizes

    assert len(response.hits) <= most
    assert sum(hit.stage == "local" for hit in response.hits) <= reranked
    assert response.degraded == ()
    assert response.notes[-1:] == ((note,) if note else ())


@pytest.mark.parametrize(
    "asked", [{"k": 11}, {"k": 3, "window": 2}, {"window": 41}, {"depth": 2, "window": 5}, {"k": 41, "rerank": False}]
)
async def test_what_a_request_raises_above_the_other_sizes_is_refused(
    index: EmbeddedIndex, worker: WorkerClient, asked: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match="not fit"):
        await search(index, worker, **asked)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"k": "three"}, "k must be a whole number, not str 'three'"),
        ({"k": True}, "k must be a whole number"),
        ({"window": 2.5}, "window must be a whole number"),
        ({"depth": 10_001}, "depth=10001 is more than"),
        ({"k": 0}, "k must be 1 or more"),
        ({"deadline_s": "soon"}, "deadline_s must be a number of seconds"),
        ({"deadline_s": 0}, "deadline_s must be more than 0 seconds"),
        ({"deadline_s": float("nan")}, "deadline_s must be more than 0 seconds"),
        ({"rerank": "no"}, "rerank must be True or False"),
        ({"credentials": "secret"}, "credentials are made with"),
        ({"filter": 7}, "filter"),
        ({"query": b"bytes"}, "the query must be a text, not bytes"),
        ({"query": None}, "a search needs a query: a text, or lexical="),
    ],
)
async def test_a_value_of_the_wrong_kind_is_an_error_of_ours(
    index: EmbeddedIndex, worker: WorkerClient, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConnectorError, match=words) as caught:
        await search(index, worker, **({"query": "red"} | asked))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("query", ["", "  \n", "x" * (MAX_QUERY_CHARS + 1), "half \ud800 pair"])
async def test_a_query_that_cannot_be_searched_is_refused(index: EmbeddedIndex, query: str) -> None:
    with pytest.raises(QueryError):
        await search(index, None, query)


@pytest.mark.parametrize("query", ["?!", "'); --", "\x00", "a AND (b", "字", "👍 fish", "*", "field:value^2~"])
async def test_any_other_query_is_answered_by_both_legs(index: EmbeddedIndex, query: str) -> None:
    response = await search(index, None, query)

    assert response.degraded == ()
    assert response.hits


async def test_a_query_is_asked_in_the_spelling_of_the_index_and_answered_in_its_own(
    index: EmbeddedIndex, worker: WorkerClient
) -> None:
    odd = "r\u00aded \ufeffﬁsh"
    response, plain = await search(index, worker, odd), await search(index, worker)

    assert response.query == odd
    assert response.rankings == plain.rankings


async def test_sizes_and_filters_of_a_request_are_checked(index: EmbeddedIndex, worker: WorkerClient) -> None:
    with pytest.raises(SettingsError, match="k=11, window=10"):
        await search(index, worker, k=11)
    with pytest.raises(SettingsError, match="k=41 does not fit the 40 documents"):
        await search(index, None, k=41)
    with pytest.raises(FilterError, match="did you mean 'kind'"):
        await search(index, None, filter="kidn=fish")
