"""The gateway fails open before each engine; and what an index of OpenSearch does to every search by itself goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from support.gateway.running_gateway import (
    DIMS,
    ENCODER,
    JSON,
    PRODUCTS,
    FailingEncoder,
    answering_gateway,
    filled_shop,
    gateway_settings,
)
from support.indices.scratch import NDJSON, engine_client
from support.parts import OverlapScorer, serving
from support.servers.proxy import Proxy
from support.worker.worker_app import wait_ready

from connector.settings.sections import ClusterSettings, WorkerSettings
from connector.worker.app import create_app

pytestmark = pytest.mark.live

FEW = dict(list(PRODUCTS.items())[:60])
BODY: JSON = {
    "query": {"match": {"text": "red sofa"}},
    "size": 7,
    "from": 3,
    "aggs": {"b": {"terms": {"field": "brand"}}},
}


@pytest.fixture(scope="module")
def shop(engine: ClusterSettings) -> Iterator[str]:
    with filled_shop(engine, FEW) as name:
        yield name


def test_where_encoder_or_worker_fail_the_engines_own_answer_is_given(engine: ClusterSettings, shop: str) -> None:
    lines = f'{{"index":"{shop}"}}\n{json.dumps(BODY)}\n'
    own = httpx.post(f"{engine.url}/{shop}/_search", json=BODY, timeout=60).json()
    failing = gateway_settings(engine, shop)
    unscored = gateway_settings(engine, shop, worker="http://127.0.0.1:9")
    for settings, encoder, reason in ((failing, FailingEncoder(DIMS), "encode"), (unscored, ENCODER, "local")):
        with answering_gateway(settings, encoder) as url:
            alone = httpx.post(f"{url}/{shop}/_search", json=BODY, timeout=60)
            several = httpx.post(f"{url}/_msearch", content=lines, headers=NDJSON, timeout=60)

        assert alone.headers["x-rerank"] == f"degraded;reason={reason}"
        assert several.headers["x-rerank"] == "reranked;searches=0;of=1;degraded=1"
        assert {**alone.json(), "took": 0} == {**own, "took": 0}
        assert {**several.json()["responses"][0], "took": 0} == {**own, "took": 0, "status": 200}


async def test_where_the_engine_breaks_off_clients_get_what_they_try_again_on(
    engine: ClusterSettings, shop: str
) -> None:
    def ask(behind: ClusterSettings) -> httpx.Response:
        with answering_gateway(gateway_settings(behind, shop), ENCODER) as url:
            return httpx.post(f"{url}/{shop}/_search", json=BODY, timeout=60)

    async with Proxy(engine.url, lambda seen: "reset" if seen.is_search else None) as proxy:
        reply = await asyncio.to_thread(ask, engine.model_copy(update={"url": proxy.url}))

    assert reply.status_code == 502
    assert reply.json()["error"]["type"] == "gateway_engine_unavailable"


def test_a_default_search_pipeline_goes_on_filtering_what_a_worker_reranks(engine: ClusterSettings, shop: str) -> None:
    version = httpx.get(engine.url, timeout=60).json()["version"]
    if version.get("distribution") != "opensearch" or version["number"] < "3":  # the older one here has no processors
        return
    body = {"query": {"match": {"text": "red sofa"}}, "size": 20, "_source": ["brand", "text"]}
    only = {"filter_query": {"query": {"term": {"brand": "acme"}}}}
    named = {"rename_field": {"field": "brand", "target_field": "maker", "ignore_failure": True}}
    with engine_client(engine) as client:
        pipeline = {"request_processors": [only], "response_processors": [named]}
        client.put(f"/_search/pipeline/{shop}", json=pipeline).raise_for_status()
        client.put(f"/{shop}/_settings", json={"index.search.default_pipeline": shop}).raise_for_status()
        direct = client.post(f"/{shop}/_search", json=body).json()["hits"]
        with serving(create_app(OverlapScorer, WorkerSettings())) as worker:
            with answering_gateway(gateway_settings(engine, shop, worker=wait_ready(worker)), ENCODER) as url:
                reply = httpx.post(f"{url}/{shop}/_search", json=body, headers={"X-Rerank": "bounded"}, timeout=60)
        client.put(f"/{shop}/_settings", json={"index.search.default_pipeline": None}).raise_for_status()
        client.delete(f"/_search/pipeline/{shop}")
    hits = reply.json()["hits"]

    assert reply.headers["x-rerank"].endswith("mode=bounded;stages=local")
    assert hits["total"] == direct["total"]
    assert {hit["_id"] for hit in hits["hits"]} == {hit["_id"] for hit in direct["hits"]}
    assert {hit["_source"]["maker"] for hit in hits["hits"]} == {"acme"}
    words = [len({"red", "sofa"} & set(hit["_source"]["text"].split())) for hit in hits["hits"]]
    assert words == sorted(words, reverse=True)
