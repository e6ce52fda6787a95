"""The gateway's window is what a search of the library finds: one search, shown in two ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from support.gateway.running_gateway import (
    ENCODER,
    JSON,
    PRODUCTS,
    answering_gateway,
    filled_shop,
    gateway_settings,
)
from support.indices.scratch import NDJSON

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
    with answering_gateway(given, ENCODER) as url:
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


def test_what_is_deleted_after_the_first_page_is_no_hit_of_the_next_and_those_behind_it_move_up(
    engine: ClusterSettings,
) -> None:
    """Pages of an order that is remembered, and so shorter than what is there when it is read."""
    body: JSON = {"query": {"match": {"title": "red sofa"}}, "_source": ["title"]}
    few = {doc_id: PRODUCTS[doc_id] for doc_id in list(PRODUCTS)[:60]}
    with filled_shop(engine, few) as name, answering_gateway(gateway_settings(engine, name, window=8), ENCODER) as url:
        with httpx.Client(base_url=url, timeout=60) as client:

            def page(start: int) -> httpx.Response:
                return client.post(f"/{name}/_search", json=body | {"from": start, "size": 4})

            def ids_of(reply: httpx.Response) -> list[str]:
                return [hit["_id"] for hit in reply.json()["hits"]["hits"]]

            def several() -> httpx.Response:
                lines = [{"index": name}, body | {"from": 4, "size": 4}]
                content = "".join(json.dumps(line) + "\n" for line in lines)
                return client.post("/_msearch", content=content, headers=NDJSON)

            first, second, third = page(0), page(4), page(8)
            several()
            whole = [*ids_of(first), *ids_of(second), *ids_of(third)]
            for doc_id in whole[5:7]:  # of the window; the second of them is the last but one
                client.delete(f"/{name}/_doc/{doc_id}?refresh=true").raise_for_status()
            again, behind, within = page(4), page(8), several()

    assert len(set(whole)) == 12
    assert second.headers["x-rerank"] == "reranked;window=8;mode=union"
    assert again.headers["x-rerank"] == "reranked;window=6;mode=union;gone=2"
    assert ids_of(again) == [whole[4], whole[7], *whole[8:10]]
    assert [hit["_score"] for hit in again.json()["hits"]["hits"]] == sorted(
        (hit["_score"] for hit in again.json()["hits"]["hits"]), reverse=True
    )
    assert ids_of(behind)[:2] == whole[10:]
    assert not set(ids_of(behind)) & set(whole[:10])
    assert within.headers["x-rerank"] == "reranked;searches=1;of=1;gone=2"
    assert [hit["_id"] for hit in within.json()["responses"][0]["hits"]["hits"]] == ids_of(again)
