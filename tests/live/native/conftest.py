"""Two indices of the same articles on each OpenSearch with ML Commons, ours and somebody else's, made once for all
files here; and settings for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from support.indices.native import ARTICLES, FOREIGN, fill, remove, settings_for
from support.indices.scratch import drop, engine_client, unique_name

from connector.models.encoder import Encoder
from connector.remote.process import WorkerProcess
from connector.settings.sections import ClusterSettings, Settings


@pytest.fixture(scope="session")
def worker_url(worker: WorkerProcess) -> str:
    return worker.url


@pytest.fixture(scope="session")
def managed(ml_opensearch: ClusterSettings, encoder: Encoder) -> Iterator[str]:
    """The name of an index of ours with the articles."""
    name = unique_name()
    asyncio.run(fill(ml_opensearch, name, encoder))
    yield name
    asyncio.run(drop(ml_opensearch, name))


@pytest.fixture(scope="session")
def foreign(ml_opensearch: ClusterSettings, encoder: Encoder) -> Iterator[str]:
    """The name of an index that somebody else made, with the articles in fields of its own."""
    name = unique_name()
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    properties = {
        "tiny": {"type": "knn_vector", "dimension": 3, "method": method},
        "headline": {"type": "text"},
        "body": {"type": "text"},
        "embedding": {"type": "knn_vector", "dimension": encoder.fingerprint.dims, "method": method},
    }
    with engine_client(ml_opensearch) as engine:
        body = {"settings": {"index": {"knn": True}}, "mappings": {"properties": properties}}
        engine.put(f"/{name}", json=body).raise_for_status()
        for doc_id, (title, text) in ARTICLES.items():
            vector = encoder.encode([f"{title}\n{text}"])[0].tolist()
            document = {"headline": title, "body": text, "embedding": vector}
            engine.put(f"/{name}/_doc/{doc_id}", json=document).raise_for_status()
        engine.post(f"/{name}/_refresh").raise_for_status()
        yield name
        engine.delete(f"/{name}")


@pytest.fixture(params=["managed", "foreign"])
def settings(request: pytest.FixtureRequest, ml_opensearch: ClusterSettings, worker_url: str) -> Iterator[Settings]:
    """Settings for an index of ours, and for one of somebody else's; nothing stays installed."""
    index = request.getfixturevalue(request.param)
    made = settings_for(ml_opensearch, index, worker_url, **(FOREIGN if request.param == "foreign" else {}))
    yield made
    asyncio.run(remove(made))
