"""Searches through the gateway of an index that the connector made: its passages are reranked, and nothing of ours is
in a reply."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from support.gateway.running_gateway import JSON, answering_gateway
from support.indices.scratch import filled_index, index_documents
from support.parts import HashEncoder, OverlapScorer, schema_of, serving
from support.worker.worker_app import wait_ready

from connector.settings.sections import ClusterSettings, Settings, WorkerSettings
from connector.types import Document
from connector.worker.app import create_app

pytestmark = pytest.mark.live

ENCODER = HashEncoder(16, max_tokens=8)
SCHEMA = schema_of(ENCODER, max_tokens=8, metadata={"shelf": "keyword"})
DOCUMENTS = [
    Document(
        f"d{number}",
        {
            "title": f"{('Bread', 'Cake', 'Soup')[number % 3]} of day {number}",
            "text": f"Knead the dough for {number} minutes. {'Then bake it in the oven. ' * (number % 4)} Serve warm.",
            "shelf": ("low", "high")[number % 2],
        },
    )
    for number in range(90)
]
QUERY: JSON = {"match": {"text": "bake dough"}}


@pytest.fixture(scope="module")
def index(engine: ClusterSettings) -> Iterator[str]:
    with filled_index(engine, SCHEMA, index_documents(DOCUMENTS, SCHEMA, ENCODER, max_tokens=8)) as name:
        yield name


@pytest.fixture(scope="module")
def through(engine: ClusterSettings, index: str) -> Iterator[httpx.Client]:
    with serving(create_app(OverlapScorer, WorkerSettings())) as worker:
        settings = Settings.model_validate(
            {
                "cluster": engine.model_dump(),
                "gateway": {"indexes": {index: {"window": 30}}},
                "search": {"deadline_s": 120},
                "rerankers": {"local": {"url": wait_ready(worker)}},
            }
        )
        with answering_gateway(settings, ENCODER) as url, httpx.Client(base_url=url, timeout=60) as client:
            yield client


def test_an_index_of_ours_is_searched_by_the_callers_own_query(
    engine: ClusterSettings, index: str, through: httpx.Client
) -> None:
    body = {
        "query": QUERY, "size": 100, "_source": ["title"],
        "aggs": {"s": {"terms": {"field": "shelf"}, "aggs": {"t": {"top_hits": {"size": 1, "_source": False}}}}},
    }  # fmt: skip
    reply = through.post(f"/{index}/_search", json=body, headers={"X-Rerank": "bounded"})
    ours, theirs = reply.json(), httpx.post(f"{engine.url}/{index}/_search", json=body, timeout=60).json()

    assert reply.headers["x-rerank"] == "reranked;window=30;mode=bounded;stages=local"
    assert ours["aggregations"] == theirs["aggregations"]
    assert ours["hits"]["total"] == theirs["hits"]["total"]
    by_id = {hit["_id"]: hit for hit in theirs["hits"]["hits"]}
    assert {hit["_id"] for hit in ours["hits"]["hits"]} == by_id.keys()
    assert all({**hit, "_score": 0} == {**by_id[hit["_id"]], "_score": 0} for hit in ours["hits"]["hits"])


def test_passages_come_along_without_a_trace(index: str, through: httpx.Client) -> None:
    filtered = {"bool": {"must": [QUERY], "filter": [{"term": {"shelf": "low"}}]}}
    reply = through.post(f"/{index}/_search", json={"query": filtered, "size": 45})
    hits = reply.json()["hits"]["hits"]

    assert reply.headers["x-rerank"].startswith("reranked;window=30;mode=union;stages=local")
    assert all(hit["_source"]["shelf"] == "low" for hit in hits)
    assert len({hit["_id"] for hit in hits}) == len(hits) == 45
    assert not any("inner_hits" in hit for hit in hits)
