"""A gateway in this process, for as long as a block lasts, and a small shop behind it on any of the engines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
from support.indices.scratch import drop_later, engine_client, send_bulk, unique_name
from support.parts import HashEncoder, running_in_thread

from connector.errors import ModelError
from connector.gateway.answering.interceptor import SearchInterceptor
from connector.gateway.encoder import SharedEncoder
from connector.gateway.serve import build_server
from connector.listening import bind
from connector.models.encoder import Encoder
from connector.settings.sections import ClusterSettings, Settings
from connector.types import Vector

JSON = dict[str, Any]
DIMS = 16
ENCODER = HashEncoder(DIMS)
NOUNS = ("sofa", "couch", "table", "lamp", "chair", "rug")
COLOURS = ("red", "blue", "green", "crimson", "white")
PRODUCTS: dict[str, JSON] = {
    f"p{number}": {
        "title": f"{COLOURS[number % 5]} {NOUNS[number % 6]} number {number}{' extra' * (number % 4)}",
        "text": f"a {NOUNS[(number + 2) % 6]} in {COLOURS[(number * 2 + 1) % 5]}",
        "brand": ("acme", "oak", "loom")[number % 3],
        "price": number * 7 % 101,
        "parts": [{"name": f"leg {at} of {NOUNS[number % 6]}"} for at in range(number % 3)],
    }
    for number in range(240)
}


class FailingEncoder(HashEncoder):
    """Encodes nothing."""

    def encode_query(self, text: str) -> Vector:
        raise ModelError("the encoder broke")


@contextlib.contextmanager
def answering_gateway(settings: Settings, encoder: Encoder | None = None) -> Iterator[str]:
    """Its URL. Searches of the indexes that the settings name are answered by it from the start."""
    listener = bind(settings.gateway.host, 0, choose="gateway.port")

    async def opened(settings: Settings, shared: SharedEncoder) -> SearchInterceptor:
        loaded = SharedEncoder(settings, lambda _: encoder) if encoder else shared
        interceptor = await SearchInterceptor.open(settings, loaded)
        await interceptor.tried()
        return interceptor

    with running_in_thread(build_server(settings, opened), listener) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def filled_shop(engine: ClusterSettings, products: dict[str, JSON] | None = None) -> Iterator[str]:
    """The name of an index of products in two shards, which somebody else made."""
    name, is_opensearch = unique_name(), is_of_opensearch(engine)
    fields = {
        "title": {"type": "text"},
        "text": {"type": "text"},
        "brand": {"type": "keyword"},
        "price": {"type": "integer"},
        "parts": {"type": "nested", "properties": {"name": {"type": "text"}}},
        "vector": vector_field(is_opensearch),
    }
    index = {"number_of_replicas": 0, "number_of_shards": 2} | ({"knn": True} if is_opensearch else {})
    with engine_client(engine) as client:
        made = {"settings": {"index": index}, "mappings": {"properties": fields}}
        client.put(f"/{name}", json=made).raise_for_status()
        lines: list[JSON] = []
        for doc_id, product in (products or PRODUCTS).items():
            vectors = ENCODER.encode_query(product["title"]).tolist()
            lines += [{"index": {"_id": doc_id}}, product | {"vector": vectors}]
        send_bulk(client, f"/{name}/_bulk?refresh=true", lines)
        yield name
    drop_later(engine, name)


def vector_field(is_opensearch: bool) -> JSON:
    """The mapping of a field that has vectors of `ENCODER`, as an application makes it."""
    if is_opensearch:
        method = {"name": "hnsw", "engine": "lucene"}
        return {"type": "knn_vector", "dimension": DIMS, "space_type": "cosinesimil", "method": method}
    return {"type": "dense_vector", "dims": DIMS, "similarity": "cosine"}


def is_of_opensearch(engine: ClusterSettings) -> bool:
    """Told by what it does not say."""
    return "x-elastic-product" not in httpx.get(f"{engine.url}/_cluster/health", timeout=60).headers


def gateway_settings(engine: ClusterSettings, name: str, *, worker: str = "", **index: Any) -> Settings:
    """Of a gateway in front of the shop; nothing is reranked without a worker. `index` goes into gateway.indexes."""
    named = {"fields": {"title": 2, "text": 1}, "vector_field": "vector", "window": 40} | index
    return Settings.model_validate(
        {
            "cluster": engine.model_dump(),
            "gateway": {"indexes": {name: named}, "pipelines": {"cheap": {"rerank": "off"}}, "connect_timeout_s": 60},
            "search": {"deadline_s": 120} | ({} if worker else {"rerank": "off"}),
            "rerankers": {"local": {"url": worker or "http://127.0.0.1:9"}},
        }
    )
