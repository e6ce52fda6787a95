"""Pages through a cursor on all five stores: every document of the frozen order once, whatever is written meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indices.scratch import drop, unique_name
from support.parts import HashEncoder
from support.runs.effort import IS_SOAK

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster, Index
from connector.contract.synthetic import DIMS, make_documents, schema
from connector.errors import CursorExpired, CursorForged, CursorMismatch, QueryError, ViewLost
from connector.search.pages.digest import digest_of
from connector.search.pages.frozen import read_cursor
from connector.search.pages.signature import Signer
from connector.search.searcher import Searcher
from connector.settings.sections import ClusterSettings, Settings
from connector.types import SearchRequest, SearchResponse

DOCUMENTS = make_documents(90)
KEY = "sixteen characters"
WHOLE = 60  # of them, which are there at first
QUERY = "report passage2"  # every title has the first word
SEARCH = {"k": 5, "depth": 12, "rerank": "off", "cursor_key": KEY, "deadline_s": 120}
SETTINGS = Settings.model_validate({"search": SEARCH})
ENCODER = HashEncoder(DIMS)


@pytest.fixture(scope="module")
def filled(store: ClusterSettings) -> Iterator[str]:
    """An index of documents, made once for each store; tests only read it."""
    name = unique_name()
    asyncio.run(_fill(store, name))
    yield name
    asyncio.run(drop(store, name))


@pytest.fixture(scope="module")
def changing(store: ClusterSettings) -> Iterator[str]:
    """Another one, which is written to."""
    name = unique_name()
    asyncio.run(_fill(store, name))
    yield name
    asyncio.run(drop(store, name))


async def _fill(store: ClusterSettings, name: str) -> None:
    cluster = await connect(store)
    index = await cluster.create_index(name, schema())
    await index.write(DOCUMENTS[:WHOLE])
    await index.finish()
    await cluster.close()


def searcher(index: Index, given_settings: Settings = SETTINGS) -> Searcher:
    return Searcher(index, ENCODER, {}, given_settings)


async def page(index: Index, cursor: Any = True, **options: Any) -> SearchResponse:
    """One page, as a process of its own reads it."""
    reader = searcher(index)
    try:
        response = await reader.search(SearchRequest(QUERY, cursor=cursor, **options))
        assert response.degraded == ()
        return response
    finally:
        reader.close()


def ids(response: SearchResponse) -> list[str]:
    return [hit.doc_id for hit in response.hits]


async def _change(index: Index, written: list[int], removed: list[int]) -> None:
    await index.write([DOCUMENTS[at] for at in written])
    await index.remove([DOCUMENTS[at].document.doc_id for at in removed])
    await index.finish()


steps = st.lists(
    st.tuples(
        st.integers(5, 24),  # hits of the page; the legs find 24
        st.lists(st.integers(0, len(DOCUMENTS) - 1), max_size=4, unique=True),  # written after it
        st.lists(st.integers(0, len(DOCUMENTS) - 1), max_size=4),  # removed after it
    ),
    min_size=1,
    max_size=3,
)


@given(steps)
@settings(max_examples=5, deadline=None, derandomize=not IS_SOAK, suppress_health_check=list(HealthCheck))
def test_every_document_comes_once_while_the_index_is_written_to(
    store: ClusterSettings, changing: str, changes: list[tuple[int, list[int], list[int]]]
) -> None:
    asyncio.run(_read_all(store, changing, changes))


async def _read_all(store: ClusterSettings, name: str, changes: list[tuple[int, list[int], list[int]]]) -> None:
    cluster = await connect(store)
    try:
        index = await cluster.open_index(name)
        doc_ids = {doc_id async for doc_id, _ in index.scan()}
        found: list[str] = []
        cursor: str | bool | None = True
        turn = 0
        while cursor:
            k, written, removed = changes[turn % len(changes)]
            response = await page(index, cursor, k=k)
            assert not response.degraded
            assert [hit.rank for hit in response.hits] == list(
                range(len(found) + 1, len(found) + len(ids(response)) + 1)
            )
            assert response.cursor is None or len(response.hits) == k
            assert all(hit.fields["title"] for hit in response.hits)
            found += ids(response)
            cursor = response.cursor
            if turn < 2:
                await _change(index, written, removed)
            turn += 1

        assert len(found) == len(set(found))
        assert set(found) == doc_ids
    finally:
        await cluster.close()


async def test_hits_are_those_of_one_search_and_a_page_may_have_any_length(cluster: Cluster, filled: str) -> None:
    index = await cluster.open_index(filled)
    whole = await page(index, None, k=20)
    first = await page(index, k=3)
    second = await page(index, first.cursor, k=17, deadline_s=119.0)
    last = await page(index, second.cursor, k=1_000)

    assert whole.cursor is None
    assert ids(whole) == [*ids(first), *ids(second)]
    assert [hit.score for hit in whole.hits] == pytest.approx([hit.score for hit in (*first.hits, *second.hits)])
    assert {hit.stage for hit in second.hits} == {"fused"}
    assert last.cursor is None
    assert {hit.stage for hit in last.hits} == {"fused", "lexical"}
    assert all(hit.passage for hit in (*second.hits, *last.hits) if "passage" in str(hit.fields.get("text")))


async def test_an_offset_leaves_hits_of_the_same_order_out(cluster: Cluster, filled: str) -> None:
    index = await cluster.open_index(filled)
    whole = await page(index, None, k=12)
    part = await page(index, None, k=4, offset=8)

    assert [(hit.doc_id, hit.rank) for hit in part.hits] == [(hit.doc_id, hit.rank) for hit in whole.hits[8:]]
    assert ids(await page(index, None, k=1, offset=23)) == []  # both legs found some of the same
    with pytest.raises(QueryError, match="offset=20 and k=5 go beyond the 24 documents that the legs find; raise"):
        await page(index, None, k=5, offset=20)
    with pytest.raises(QueryError, match="offset and cursor are two ways to a page"):
        await page(index, k=5, offset=2)


async def test_a_cursor_goes_with_the_search_that_it_came_from(cluster: Cluster, filled: str) -> None:
    index = await cluster.open_index(filled)
    first = await page(index, k=3, filter="tier=gold")
    other: dict[str, Any] = {"filter": "tier=gold", "rerank": False}

    assert ids(await page(index, first.cursor, filter="tier=gold"))
    for options in ({}, {"filter": "tier=silver"}, other):
        with pytest.raises(CursorMismatch, match="the query, its filter, or another option of the search"):
            await page(index, first.cursor, **options)
    with pytest.raises(CursorForged):
        await page(index, str(first.cursor)[:-9], filter="tier=gold")


async def test_what_a_cursor_reads_may_be_gone(cluster: Cluster, filled: str) -> None:
    index = await cluster.open_index(filled)
    first = await page(index, k=3)
    order = read_cursor(
        str(first.cursor), Signer(KEY), index=filled, digest=digest_of(SearchRequest(QUERY), SETTINGS.search), keep_s=1
    )
    if cluster.engine.kind == "embedded":
        lost = order.write(Signer(KEY), "999999", 60)
    else:
        lost = str(first.cursor)
        await (await index.as_of(order.view, 60)).close_view(timeout_s=30)

    with pytest.raises(ViewLost, match="search again from the first page"):
        await page(index, lost)
    with pytest.raises(CursorExpired, match="older than 300 s"):
        await page(index, order.write(Signer(KEY), order.view, -1))
