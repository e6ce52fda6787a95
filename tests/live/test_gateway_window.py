"""The gateway's window is what a search of the library finds: one search, shown in two ways."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from support.running_gateway import ENCODER, filled_shop, gateway_settings, running_gateway

from connector.clusters.connect import connect
from connector.gateway.ordering.site import settings_for
from connector.search.searcher import Searcher
from connector.settings.sections import ClusterSettings
from connector.types import SearchRequest
from connector.wiring import open_index

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def shop(engine: ClusterSettings) -> Iterator[str]:
    with filled_shop(engine) as name:
        yield name


async def test_the_window_is_what_the_library_finds_for_the_same_query(engine: ClusterSettings, shop: str) -> None:
    """With the same legs and their fusion; the gateway's own part is what the application sees of it."""
    query = {"bool": {"must": [{"match": {"text": "red sofa"}}], "filter": [{"term": {"brand": "oak"}}]}}
    given = gateway_settings(engine, shop, fields={"text": 1})
    with running_gateway(given, ENCODER) as url:
        body, headers = {"query": query, "size": 40}, {"X-Rerank": "union"}
        reply = await asyncio.to_thread(httpx.post, f"{url}/{shop}/_search", json=body, headers=headers, timeout=60)
    settings = settings_for(given, shop)
    cluster = await connect(settings.cluster)
    searcher = Searcher(await open_index(cluster, settings), ENCODER, {}, settings)
    try:
        found = await searcher.search(SearchRequest("red sofa", lexical=query, depth=40, k=40))
    finally:
        searcher.close()
        await cluster.close()

    assert [hit["_id"] for hit in reply.json()["hits"]["hits"]] == [hit.doc_id for hit in found.hits]
