"""Searches through the gateway of an alias that stands for several indices, in which ids are not unique."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from support.running_gateway import ENCODER, JSON, PRODUCTS, filled_shop, gateway_settings, running_gateway

from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.live

HALF = dict(list(PRODUCTS.items())[:60])
BODY: JSON = {"query": {"match": {"text": "red sofa"}}, "size": 10, "highlight": {"fields": {"text": {}}}}


@pytest.fixture(scope="module")
def alias(engine: ClusterSettings) -> Iterator[str]:
    """Two indices with the same ids; of one of them the alias shows a part."""
    with filled_shop(engine, HALF) as first, filled_shop(engine, HALF) as second:
        name = f"{first}-both"
        only = {"term": {"brand": "acme"}}
        actions: list[JSON] = [{"add": {"index": first, "alias": name}}]
        actions.append({"add": {"index": second, "alias": name, "filter": only}})
        httpx.post(f"{engine.url}/_aliases", json={"actions": actions}, timeout=60).raise_for_status()
        yield name


@pytest.mark.parametrize("mode", ["bounded", "union"])
def test_pages_of_an_alias_have_no_repeat_and_no_gap(engine: ClusterSettings, alias: str, mode: str) -> None:
    theirs = httpx.post(f"{engine.url}/{alias}/_search", json=BODY | {"size": 200}, timeout=60).json()["hits"]
    with running_gateway(gateway_settings(engine, alias, window=20), ENCODER) as url:
        replies = [
            httpx.post(f"{url}/{alias}/_search", json=BODY | {"from": start}, headers={"X-Rerank": mode}, timeout=60)
            for start in range(0, 120, 10)
        ]
    hits = [hit for reply in replies for hit in reply.json()["hits"]["hits"]]
    found = [(hit["_index"], hit["_id"]) for hit in hits]
    total = replies[0].json()["hits"]["total"]["value"]

    assert all(reply.headers["x-rerank"].startswith("reranked;window=20") for reply in replies), replies[0].headers
    assert len(found) == len(set(found)) == total
    assert {(hit["_index"], hit["_id"]) for hit in theirs["hits"]} <= set(found)
    assert len({index for index, _ in found}) == 2
    assert total == len(theirs["hits"]) if mode == "bounded" else total > len(theirs["hits"])
    assert not any(hit["_source"]["brand"] != "acme" for hit in hits if not alias.startswith(hit["_index"]))
