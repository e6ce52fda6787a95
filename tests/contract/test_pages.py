"""Pages through a cursor on all five stores: every document of the frozen order once, whatever is written meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.parts import HashEncoder
from support.scratch import drop, unique_name
from support.synthetic import DIMS, make_documents, schema

from connector.clusters.connect import connect
from connector.clusters.protocol import Index
from connector.search.searcher import Searcher
from connector.settings.sections import ClusterSettings, Settings
from connector.types import SearchRequest, SearchResponse

DOCUMENTS = make_documents(90)
WHOLE = 60  # of them, which are there at first
QUERY = "report passage2"  # every title has the first word
SETTINGS = Settings.model_validate(
    {"search": {"k": 5, "depth": 12, "rerank": "off", "cursor_key": "sixteen characters"}}
)
ENCODER = HashEncoder(DIMS)


@pytest.fixture(scope="module")
def filled(store: ClusterSettings) -> Iterator[str]:
    """An index of documents, made once for each store."""
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
        return await reader.search(SearchRequest(QUERY, cursor=cursor, **options))
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
        st.integers(1, 24),  # hits of the page; the legs find 24
        st.lists(st.integers(0, len(DOCUMENTS) - 1), max_size=4),  # written after it
        st.lists(st.integers(0, len(DOCUMENTS) - 1), max_size=4),  # removed after it
    ),
    min_size=1,
    max_size=3,
)


@given(steps)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_document_comes_once_while_the_index_is_written_to(
    store: ClusterSettings, filled: str, changes: list[tuple[int, list[int], list[int]]]
) -> None:
    asyncio.run(_read_all(store, filled, changes))


async def _read_all(store: ClusterSettings, name: str, changes: list[tuple[int, list[int], list[int]]]) -> None:
    cluster = await connect(store)
    try:
        index = await cluster.open_index(name)
        there = {doc_id async for doc_id, _ in index.scan()}
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
        assert set(found) == there
    finally:
        await cluster.close()
